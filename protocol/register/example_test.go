package register_test

import (
	"fmt"

	"synod/protocol/register"
)

// hash returns a state of three fields.
func hash() register.View {
	return register.Nothing().Apply(register.Change{Kind: register.Full,
		Header: register.Header{Type: register.Hash, Size: 3},
		Ops: []register.Op{
			{Key: []byte("a"), Value: []byte("1")},
			{Key: []byte("b"), Value: []byte("2")},
			{Key: []byte("c"), Value: []byte("3")},
		}})
}

// A command names the part of the state that it needs, a node sends that part,
// and the command makes a change of it, which applies to the whole as well.
func Example() {
	state := hash()

	// What the proxy gets.
	needs := register.Projection{Keys: [][]byte{[]byte("b")}}
	view := state.Project(needs)
	old, _ := view.Get([]byte("b"))
	fmt.Printf("b is %s of %d fields; c is known: %v\n", old, view.Header.Size,
		view.Covers(register.Projection{Keys: [][]byte{[]byte("c")}}))

	// What it sends.
	change := register.Change{Kind: register.Delta, Header: view.Header,
		Ops: []register.Op{{Key: []byte("b"), Value: []byte("20")}}}

	// What the node makes of it. The old state stays as it was.
	for _, e := range state.Apply(change).Elements() {
		fmt.Printf("%s=%s ", e.Key, e.Value)
	}
	before, _ := state.Get([]byte("b"))
	fmt.Printf("(b was %s)\n", before)
	// Output:
	// b is 2 of 3 fields; c is known: false
	// a=1 b=20 c=3 (b was 2)
}

// Also what does not exist is known, once it has been asked for.
func ExampleView_Lookup() {
	view := hash().Project(register.Projection{Keys: [][]byte{[]byte("a"), []byte("x")}})
	for _, key := range []string{"a", "x", "c"} {
		value, exists, known := view.Lookup([]byte(key))
		fmt.Printf("%s: %q exists=%v known=%v\n", key, value, exists, known)
	}
	// Output:
	// a: "1" exists=true known=true
	// x: "" exists=false known=true
	// c: "" exists=false known=false
}

// Commands that are combined see the changes of those before them, and go out as
// one change.
func ExampleDraft() {
	draft := register.NewDraft(hash())
	header := draft.View().Header
	for _, value := range []string{"10", "11"} {
		draft.Apply(register.Change{Kind: register.Delta, Header: header,
			Ops: []register.Op{{Key: []byte("a"), Value: []byte(value)}}})
	}
	now, _ := draft.View().Get([]byte("a"))
	sum := draft.Change()
	fmt.Printf("a is %s after %d operation\n", now, len(sum.Ops))
	// Output: a is 11 after 1 operation
}
