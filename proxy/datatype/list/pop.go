package list

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// ahead is how many extra items a pop asks for. The proxy caches them for later
// pops.
const ahead = 16

// pop removes items from one end.
type pop struct {
	datatype.Writes
	count   int64
	counted bool // a count was given, so the reply is an array
	back    bool
}

var errNotPositive = resp.Err("ERR value is out of range, must be positive")

// LPop parses LPOP key [count].
func LPop(args [][]byte) (operation.Operation, *resp.Value) { return parsePop(args, "lpop", false) }

// RPop parses RPOP key [count].
func RPop(args [][]byte) (operation.Operation, *resp.Value) { return parsePop(args, "rpop", true) }

func parsePop(args [][]byte, name string, back bool) (operation.Operation, *resp.Value) {
	o := &pop{count: 1, back: back, counted: len(args) == 3}
	switch {
	case len(args) > 3:
		return nil, resp.ErrArity(name)
	case o.counted:
		n, ok := number.ParseInt(args[2])
		if !ok || n < 0 {
			return nil, errNotPositive
		}
		o.count = n
	}
	return o, nil
}

// Needs also asks for the item that becomes the list's new end.
func (o *pop) Needs() register.Projection { return o.needs(1) }

// Prefetch also asks for the items of later pops (operation.Prefetcher).
func (o *pop) Prefetch(waiting int) register.Projection {
	return o.needs(int64(1 + ahead + waiting))
}

func (o *pop) needs(more int64) register.Projection {
	if o.count == 0 {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{o.taken(more)}}
}

// taken is the range of the popped items, and some more.
func (o *pop) taken(more int64) register.Range {
	return register.Range{Limit: limited(uint64(o.count) + uint64(more)), Reverse: o.back}
}

// limited converts a number of items to the limit of a range; no limit if it
// exceeds what a list can hold in a view.
func limited(n uint64) int {
	if n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

func (o *pop) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case l.size() == 0 && o.counted:
		return datatype.Reply(resp.NilArray)
	case l.size() == 0:
		return datatype.Reply(resp.Nil)
	case o.count == 0:
		return datatype.Reply(resp.List())
	}
	elems, known := v.Range(o.taken(1))
	if !known {
		return datatype.Need(o.Prefetch(0))
	}
	n := min(len(elems), int(min(o.count, math.MaxInt32)))
	if n == len(elems) && uint64(n) < l.size() {
		return datatype.Reply(errDamaged)
	}
	reply := array(elems[:n])
	if !o.counted {
		reply = resp.Bytes(elems[0].Value)
	}
	if uint64(n) >= l.size() {
		return datatype.Deletes(reply)
	}
	l.header.Size -= uint64(n)
	if end := labelOf(elems[n].Key); o.back {
		l.last = end
	} else {
		l.first = end
	}
	return l.changes(v.Header, removals(make([]register.Op, 0, n), elems[:n]), reply)
}

// removals appends the ops that remove elements.
func removals(ops []register.Op, elems []register.Element) []register.Op {
	for i := range elems {
		ops = append(ops, register.Op{Kind: register.Remove, Key: elems[i].Key})
	}
	return ops
}
