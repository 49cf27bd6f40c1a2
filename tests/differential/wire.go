package differential

import "strings"

// inlines are inline requests, whole lines without their ends.
var inlines = []string{
	"PING", "ping hello", "  PING", "PING  ", "\tPING\t", "", "   ", `ECHO "a b"`, `ECHO 'a b'`, `ECHO "\x41\n\r\t\b\a\"\\"`, `ECHO '\''`, `ECHO '\n'`,
	`ECHO "a"b`, `ECHO "a`, `ECHO 'a`, `ECHO a"b"`, `ECHO ""`, `ECHO ''`, `SET a "x y"`, "GET a", "nosuch command", `"PING"`, `"\x50ING"`, "ECHO \xff",
	"GET", "SET a", "SELECT 99", "ECHO a\rb", "ECHO " + strings.Repeat("x", 10_000), "EXISTS a b c",
}

// protocolErrors are beginnings that are no requests; most end the connection.
var protocolErrors = []string{
	"*", "*\r\n", "*x\r\n", "*-1\r\n", "*0\r\n", "*-2\r\n", "*1048577\r\n", "*2147483648\r\n", "*99999999999999999999\r\n", "* 1\r\n", "*1 \r\n", "*+1\r\n$4\r\nPING\r\n", "*01\r\n$4\r\nPING\r\n",
	"*1\r\n", "*1\r\nPING\r\n", "*1\r\n:4\r\nPING\r\n", "*1\r\n+PING\r\n", "*1\r\n$x\r\n", "*1\r\n$-1\r\n", "*1\r\n$-2\r\n", "*1\r\n$\r\n", "*1\r\n$536870913\r\n", "*1\r\n$4294967296\r\n", "*1\r\n$99999999999999999999\r\n",
	"*1\r\n$4\r\nPINGxx", "*1\r\n$4\r\nPING\n\n", "*1\r\n$4\nPING\r\n", "*1\n$4\r\nPING\r\n", "*1\r\n$0\r\n\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "*2\r\n$4\r\nECHO\r\n$-1\r\n", "*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\na\r\n",
	"*1\r\n$ 4\r\nPING\r\n", "*1\r\n$+4\r\nPING\r\n", "*1\r\n$04\r\nPING\r\n", "*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n", "*1\r\n\r\n", "$4\r\nPING\r\n", "+PING\r\n", ":1\r\n", "%1\r\n", "_\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\n\r\n",
	"*1\r\n$4\r\nQUIT\r\n", "*2\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n", "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n", "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n", "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$2\r\nON\r\n",
	"*1\r\n$4\r\nPOST\r\n", "*1\r\n$5\r\nHost:\r\n", "PING\r\n*x\r\n", "\r\n\r\n\r\nPING\r\n",
}
