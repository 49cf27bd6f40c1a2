package content

import (
	"encoding/binary"
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/layout"
	"synod/protocol/register"
)

// What is larger than there is room for is told by the header, where that is
// possible, and otherwise read only as far as the room goes.
func TestTooLargeIsNotRead(t *testing.T) {
	const n, size = 5000, 64 << 10
	span, _ := layout.Counted(register.SortedSet)
	ranked := func(i int) []byte { return binary.BigEndian.AppendUint32(append([]byte{}, span.From...), uint32(i)) }
	rec := &durable.Record{Register: register.ID{Key: "\x00z"}, Accepted: ballot.Ballot{Time: 1, Proposer: 1}}
	change := register.Change{Kind: register.Full, Header: register.Header{Type: register.SortedSet, Size: n}}
	for i := range n {
		change.Ops = append(change.Ops, register.Op{Kind: register.Put, Key: ranked(i), Value: make([]byte, 16)})
	}
	var c State
	if err := c.Apply(nil, rec, &change); err != nil || !c.Rows {
		t.Fatal(c.Rows, err)
	}
	whole := register.Range{From: span.From, To: span.To}
	limited := whole
	limited.Skip, limited.Limit = 10, n-20
	for _, p := range []register.Projection{{All: true}, {Ranges: []register.Range{whole}}, {Ranges: []register.Range{limited}}} {
		if !exceeds(&rec.Header, &p, size) {
			t.Errorf("%+v is read", p)
		}
		s := c.source(nil, rec.Register)
		v, fits, err := c.projectRows(nil, rec, s, p, size)
		if err != nil || fits || v.Bytes() > size+1024 {
			t.Errorf("%+v: %d bytes read of %d (%v), %v", p, v.Bytes(), size, fits, err)
		}
	}
	few := limited
	few.Skip = n - 10
	for _, r := range []register.Range{few, {From: span.From, To: ranked(10)}} {
		p := register.Projection{Ranges: []register.Range{r}}
		if v, fits, err := c.Project(nil, rec, p, size); err != nil || !fits || len(v.Elements()) != 10 {
			t.Errorf("%+v: %d elements (%v), %v", r, len(v.Elements()), fits, err)
		}
	}
}
