package resp_test

import (
	"fmt"

	"synod/protocol/resp"
)

// A command answers with one value. How it looks depends on the version of the
// protocol that the connection speaks.
func Example() {
	reply := &resp.Value{Kind: resp.Map, Elems: []resp.Value{*resp.Text("visits"), *resp.Int(2)}}
	fmt.Printf("RESP2 %q\n", reply.AppendTo(nil, 2))
	fmt.Printf("RESP3 %q\n", reply.AppendTo(nil, 3))
	// Output:
	// RESP2 "*2\r\n$6\r\nvisits\r\n:2\r\n"
	// RESP3 "%1\r\n$6\r\nvisits\r\n:2\r\n"
}

// What is not there looks different where an array was expected, in RESP2 only.
func Example_nil() {
	fmt.Printf("RESP2 %q %q\n", resp.Nil.AppendTo(nil, 2), resp.NilArray.AppendTo(nil, 2))
	fmt.Printf("RESP3 %q %q\n", resp.Nil.AppendTo(nil, 3), resp.NilArray.AppendTo(nil, 3))
	// Output:
	// RESP2 "$-1\r\n" "*-1\r\n"
	// RESP3 "_\r\n" "_\r\n"
}

// Errors are values, too, in Redis's words.
func ExampleErrArity() {
	fmt.Printf("%q\n", resp.ErrArity("get").AppendTo(nil, 3))
	// Output: "-ERR wrong number of arguments for 'get' command\r\n"
}
