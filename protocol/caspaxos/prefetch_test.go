package caspaxos_test

import (
	"strconv"
	"testing"

	"synod/protocol/operation"
	"synod/protocol/register"
)

// fill makes a state of elements; take removes the first one.
type fill struct{ n int }

func (fill) Needs() register.Projection { return register.Projection{} }
func (fill) ReadOnly() bool             { return false }
func (fill) Blind() bool                { return true }
func (o fill) Execute(register.View, int64) operation.Effect {
	c := register.Change{Kind: register.Full, Header: register.Header{Type: register.List, Size: uint64(o.n)}}
	for i := range o.n {
		c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: []byte(strconv.Itoa(10_000 + i)), Value: []byte(strconv.Itoa(i))})
	}
	return operation.Effect{Result: "OK", Change: c}
}

type take struct{}

func (take) Needs() register.Projection {
	return register.Projection{Ranges: []register.Range{{Limit: 1}}}
}
func (take) Prefetch(waiting int) register.Projection {
	return register.Projection{Ranges: []register.Range{{Limit: 1 + 9 + waiting}}}
}
func (take) ReadOnly() bool { return false }
func (take) Blind() bool    { return false }
func (o take) Execute(v register.View, _ int64) operation.Effect {
	elems, known := v.Range(o.Needs().Ranges[0])
	if !known {
		panic("executed on too little")
	}
	h := v.Header
	h.Size--
	return operation.Effect{Result: string(elems[0].Value), Change: register.Change{Kind: register.Delta, Header: h,
		Ops: []register.Op{{Kind: register.Remove, Key: elems[0].Key}}}}
}

// TestNeedsAhead: operations that follow one another find what the first one of
// them asked for.
func TestNeedsAhead(t *testing.T) {
	c := newCluster(t)
	c.want("k", fill{1000}, "OK")
	for i := range 30 {
		c.want("k", take{}, strconv.Itoa(i))
	}
	if two, one, more := c.stats.TwoTrip.Load(), c.stats.Piggybacked.Load(), c.stats.Fetches.Load(); two != 1 || one != 29 || more != 2 {
		t.Fatalf("%d rounds of two trips, %d carried, %d fetches; want 1, 29 and 2", two, one, more)
	}
	// Many that wait are one round.
	var last *bool
	for range 100 {
		_, last = c.submit("k", take{})
	}
	c.run(last)
	c.want("k", take{}, "130")
	if rounds := c.stats.Piggybacked.Load() + c.stats.TwoTrip.Load(); rounds > 34 {
		t.Errorf("%d rounds", rounds)
	}
}
