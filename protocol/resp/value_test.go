package resp_test

import (
	"math"
	"strings"
	"testing"

	"synod/protocol/resp"
)

// TestEachKindInBothVersions has one value of each kind in both versions of the protocol.
func TestEachKindInBothVersions(t *testing.T) {
	pair := []resp.Value{*resp.Int(1), *resp.Text("a")}
	for _, c := range []struct {
		name       string
		v          *resp.Value
		two, three string
	}{
		{"ok", resp.OK, "+OK\r\n", "+OK\r\n"},
		{"error", resp.ErrSyntax, "-ERR syntax error\r\n", "-ERR syntax error\r\n"},
		{"integer", resp.Int(-7), ":-7\r\n", ":-7\r\n"},
		{"cached integer", resp.Int(255), ":255\r\n", ":255\r\n"},
		{"bulk", resp.Bytes([]byte("a\r\n")), "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"},
		{"empty bulk", resp.Text(""), "$0\r\n\r\n", "$0\r\n\r\n"},
		{"null", resp.Nil, "$-1\r\n", "_\r\n"},
		{"null array", resp.NilArray, "*-1\r\n", "_\r\n"},
		{"array", resp.List(pair...), "*2\r\n:1\r\n$1\r\na\r\n", "*2\r\n:1\r\n$1\r\na\r\n"},
		{"set", &resp.Value{Kind: resp.Set, Elems: pair}, "*2\r\n:1\r\n$1\r\na\r\n", "~2\r\n:1\r\n$1\r\na\r\n"},
		{"map", &resp.Value{Kind: resp.Map, Elems: pair}, "*2\r\n:1\r\n$1\r\na\r\n", "%1\r\n:1\r\n$1\r\na\r\n"},
		{"pairs", &resp.Value{Kind: resp.Pairs, Elems: pair}, "*2\r\n:1\r\n$1\r\na\r\n", "*1\r\n*2\r\n:1\r\n$1\r\na\r\n"},
		{"table", &resp.Value{Kind: resp.Table, Elems: pair}, "*1\r\n*2\r\n:1\r\n$1\r\na\r\n", "%1\r\n:1\r\n$1\r\na\r\n"},
		{"double", &resp.Value{Kind: resp.Double, Float: 1.5}, "$3\r\n1.5\r\n", ",1.5\r\n"},
		{"worded double", &resp.Value{Kind: resp.Double, Float: 1.5, Str: []byte("1.50")}, "$4\r\n1.50\r\n", ",1.50\r\n"},
		{"infinity", &resp.Value{Kind: resp.Double, Float: math.Inf(-1)}, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"true", &resp.Value{Kind: resp.Bool, Int: 1}, ":1\r\n", "#t\r\n"},
		{"false", &resp.Value{Kind: resp.Bool}, ":0\r\n", "#f\r\n"},
		{"big number", &resp.Value{Kind: resp.BigNumber, Str: []byte("123")}, "$3\r\n123\r\n", "(123\r\n"},
		{"verbatim", &resp.Value{Kind: resp.Verbatim, Str: []byte("txt:hi")}, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
	} {
		if got := string(c.v.AppendTo(nil, 2)); got != c.two {
			t.Errorf("%s in RESP2: %q, want %q", c.name, got, c.two)
		}
		if got := string(c.v.AppendTo(nil, 3)); got != c.three {
			t.Errorf("%s in RESP3: %q, want %q", c.name, got, c.three)
		}
	}
}

// TestQuotedTextStaysOnOneLine: what is quoted in an error ends at a zero byte, and the error is
// one line.
func TestQuotedTextStaysOnOneLine(t *testing.T) {
	for want, got := range map[string]*resp.Value{
		"ERR 'a' b  c": resp.Errf("ERR '%s' %s", []byte("a\x00x"), []byte("b\r\nc\r\n")),
		"ERR 'a  '":    resp.Errf("ERR '%s'", []byte("a\r\n")),
		"ERR unknown command 'x', with args beginning with: 'y' '' ": resp.ErrUnknownCommand([]byte("x"), [][]byte{[]byte("y"), nil}),
		"ERR unknown command '" + strings.Repeat("x", 128) + "', with args beginning with: '" + strings.Repeat("y", 128) + "' ": resp.ErrUnknownCommand(
			[]byte(strings.Repeat("x", 200)), [][]byte{[]byte(strings.Repeat("y", 200)), []byte("z")}),
		"ERR unknown subcommand 'x'. Try OBJECT HELP.": resp.ErrUnknownSubcommand([]byte("x\x00"), "OBJECT"),
	} {
		if string(got.Str) != want || !got.IsError() {
			t.Errorf("%q, want %q", got.Str, want)
		}
	}
}
