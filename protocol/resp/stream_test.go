package resp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// collector is a sink that keeps what it is given; of encoded it must take a copy.
type collector struct {
	all      []byte
	whole    int
	mostEach int
	fail     error
}

func (c *collector) Put(encoded, whole []byte) ([]byte, error) {
	c.all = append(append(c.all, encoded...), whole...)
	c.whole += len(whole)
	c.mostEach = max(c.mostEach, len(encoded))
	return encoded[:0], c.fail
}

func samples() []*Value {
	long, part := Text(strings.Repeat("l", wholeBytes)), Text(strings.Repeat("p", 8192))
	many := List()
	for range 300_000 {
		many.Elems = append(many.Elems, *Text("element"))
	}
	return []*Value{
		OK, Nil, Int(3), Text("short"), long, many, {Kind: Double, Float: 1.5},
		Parts(2*8192+3, []Value{*part, *part, *Text("end")}),
		List(*long, *Text("between"), *Parts(8192, []Value{*part}), *List(*long, *Nil)),
		{Kind: Map, Elems: []Value{*Text("k"), *long, *Text("l"), *Int(1)}},
		{Kind: Pairs, Elems: []Value{*Text("k"), *long, *Text("l"), *Int(1)}},
		{Kind: Table, Elems: []Value{*Text("k"), *long, *Text("l"), *Int(1)}},
		{Kind: Set, Elems: []Value{*long}},
	}
}

// What a sink gets is what AppendTo would have made, behind what stood there
// before.
func TestStreamEncodesAsAppendTo(t *testing.T) {
	for i, v := range samples() {
		for version := 2; version <= 3; version++ {
			c := new(collector)
			rest, err := v.Stream([]byte("+before\r\n"), version, c)
			if got, want := append(c.all, rest...), v.AppendTo([]byte("+before\r\n"), version); err != nil || !bytes.Equal(got, want) {
				t.Errorf("sample %d, version %d: %d bytes, want %d; %v", i, version, len(got), len(want), err)
			}
			if c.mostEach > streamBytes+wholeBytes+100 {
				t.Errorf("sample %d: %d bytes were encoded before the sink got them", i, c.mostEach)
			}
		}
	}
}

func TestStreamEndsWithTheSink(t *testing.T) {
	failure := errors.New("gone")
	for i, v := range samples() {
		if v.Elems == nil && len(v.Str) < wholeBytes {
			continue
		}
		c := &collector{fail: failure}
		if _, err := v.Stream(nil, 3, c); !errors.Is(err, failure) {
			t.Errorf("sample %d: %v", i, err)
		}
	}
}
