package proxytest

import "strings"

// Requests are well-formed and malformed inputs for testing the request parser.
var Requests = map[string]string{
	"basics":     "PING\r\nping hello\r\nPING a b\r\nECHO x\r\nECHO\r\nECHO a b\r\n",
	"strings":    "SET k v\r\nGET k\r\nGET none\r\nSET n 5\r\nINCR n\r\nINCRBY k 1\r\nAPPEND k w\r\nSTRLEN k\r\nMGET k n none k\r\nDEL k n none\r\nEXISTS k k\r\n",
	"wrong type": Array("SET", "a", "") + Array("INCR", "a") + Array("GETRANGE", "a", "x", "1") + "SET a b EX 0\r\nSET a b FOO\r\nSET a\r\nGET\r\nGET a b\r\n",
	"unknown": "foo\r\nfoo bar\r\nFoo bar baz\r\n" + Array("a\r\nb", "c\r\nd") + Array(strings.Repeat("x", 300), strings.Repeat("y", 300)) +
		Array("x", strings.Repeat("y", 100), strings.Repeat("z", 100), "w") + "CLIENT\r\nclient foo\r\nCLIENT ID extra\r\nconfig foo bar\r\nCONFIG\r\nOBJECT x\r\nCOMMAND foo\r\n" + Array("client", "a\nb"),
	"empty command": Array("") + Array("", "x") + "\"\"\r\n",
	"inline":        "\r\n  \r\n\n\t\r\nPING\nPING\r\n  ping  \t x \r\nECHO \"a b\"\r\nECHO 'a \"b'\r\nECHO \"\\x41\\n\\r\\t\\b\\a\\q\\\\\"\r\nECHO 'it\\'s \\n'\r\nECHO a\"b c\"\r\nSET \"\" \"\"\r\nGET ''\r\n",
	"inline hex":    "ECHO \"\\x4\"\r\nECHO \"\\xzz\"\r\nECHO \"\\xAf\\xFA\"\r\n",
	"unbalanced 1":  "PING\r\nECHO \"a\r\nPING\r\n",
	"unbalanced 2":  "PING\r\nECHO \"a\"b\r\nPING\r\n",
	"unbalanced 3":  "ECHO 'a'b\r\nPING\r\n",
	"unbalanced 4":  "ECHO \"a\\\r\n",
	"empty arrays":  "*0\r\n*-1\r\n*-5\r\nPING\r\n*0\r\n" + Array("PING"),
	"sloppy ends":   "*1\rX$4\r\nPINGXY*2\r\r$4\rzECHO..$1\r\na..",
	"bad count 1":   Array("SET", "a", "1") + "*x\r\n",
	"bad count 2":   "*\r\n",
	"bad count 3":   "*+1\r\n",
	"bad count 4":   "*01\r\n",
	"bad count 5":   "*2147483648\r\n",
	"bad count 6":   "*99999999999999999999\r\n",
	"bad count 7":   "*-0\r\n",
	"bad count 8":   "*1 \r\n",
	"bad length 1":  Array("PING") + "*1\r\n$x\r\n",
	"bad length 2":  "*1\r\n$-1\r\n",
	"bad length 3":  "*1\r\n$\r\n",
	"bad length 4":  "*2\r\n$4\r\nECHO\r\n$536870913\r\n",
	"bad length 5":  "*2\r\n$4\r\nECHO\r\n$9223372036854775808\r\n",
	"bad length 6":  "*1\r\n$04\r\nPING\r\n",
	"no dollar 1":   Array("PING") + "*1\r\n:4\r\n",
	"no dollar 2":   "*1\r\nPING\r\n",
	"no dollar 3":   "*1\r\n\r\n\r\n",
	"no dollar 4":   "*2\r\n$4\r\nECHO\r\n*1\r\n",
	"no dollar 5":   "*1\r\n\xff\r\n",
	"tile38":        "$4 PING\r\n$1 x\r\n",
	"long inline":   "PING " + strings.Repeat("a", 1<<20),
	"long count":    "*" + strings.Repeat("1", 1<<20),
	"long length":   "*1\r\n$" + strings.Repeat("1", 1<<20),
}
