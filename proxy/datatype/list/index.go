package list

import (
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// slice returns the items from index from up to, excluding, index to, in list
// order; the range must not be empty. If the view lacks them, need says what to
// ask for.
func (l *layout) slice(v register.View, from, to uint64) (elems []register.Element, need *register.Range) {
	n := int(to - from)
	forward := register.Range{Skip: from, Limit: n}
	if elems, known := v.Range(forward); known {
		return elems, nil
	}
	backward := register.Range{Skip: l.size() - to, Limit: n, Reverse: true}
	if elems, known := v.Range(backward); known {
		elems = slices.Clone(elems)
		slices.Reverse(elems)
		return elems, nil
	}
	if l.regular() {
		last := keyOf(l.first + (to-1)*stride)
		labels := register.Range{From: keyOf(l.first + from*stride), To: register.Next(last), Limit: n}
		if elems, known := v.Range(labels); known {
			return elems, nil
		}
		return nil, &labels
	}
	if from <= backward.Skip {
		return nil, &forward
	}
	return nil, &backward
}

// at is the range of the item at an index. Negative indexes count from the end.
func at(index int64) register.Range {
	if index < 0 {
		return register.Range{Skip: uint64(-(index + 1)), Limit: 1, Reverse: true}
	}
	return register.Range{Skip: uint64(index), Limit: 1}
}

// place converts a possibly negative index, which counts from the end, to a
// non-negative one, and reports whether the item exists.
func (l *layout) place(index int64) (uint64, bool) {
	if index < 0 {
		index += int64(l.size())
	}
	return uint64(index), index >= 0 && uint64(index) < l.size()
}

// clip converts Redis's inclusive range, whose negative indexes count from the
// end, to an exclusive range within the list. It is empty if from >= to.
func (l *layout) clip(start, end int64) (from, to uint64) {
	size := int64(l.size())
	if start < 0 {
		start += size
	}
	if end < 0 {
		end += size
	}
	start, end = max(start, 0), min(end, size-1)
	if start > end {
		return 0, 0
	}
	return uint64(start), uint64(end) + 1
}

// parseRange parses the start and end of a range of indexes.
func parseRange(args [][]byte) (start, end int64, err *resp.Value) {
	start, ok1 := number.ParseInt(args[2])
	end, ok2 := number.ParseInt(args[3])
	if !ok1 || !ok2 {
		return 0, 0, resp.ErrNotInteger
	}
	return start, end, nil
}

type llen struct{ datatype.Reads }

// LLen parses LLEN key.
func LLen([][]byte) (operation.Operation, *resp.Value) { return llen{}, nil }

func (llen) Needs() register.Projection { return register.Projection{} }

func (llen) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	if err != nil {
		return datatype.Reply(err)
	}
	return datatype.Reply(resp.Int(int64(l.size())))
}

// index reads one item. Like Redis, it checks the list before the index.
type index struct {
	datatype.Reads
	index int64
	valid bool
}

// LIndex parses LINDEX key index.
func LIndex(args [][]byte) (operation.Operation, *resp.Value) {
	i, ok := number.ParseInt(args[2])
	return &index{index: i, valid: ok}, nil
}

// Needs counts to the item even if the list is regular: computing the label
// would first need the header, which costs a round trip.
func (o *index) Needs() register.Projection {
	if !o.valid {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{at(o.index)}}
}

func (o *index) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case l.size() == 0:
		return datatype.Reply(resp.Nil)
	case !o.valid:
		return datatype.Reply(resp.ErrNotInteger)
	}
	elems, known := v.Range(at(o.index))
	switch {
	case !known:
		return datatype.Need(o.Needs())
	case len(elems) == 0:
		return datatype.Reply(resp.Nil)
	}
	return datatype.Reply(resp.Bytes(elems[0].Value))
}

// span reads items start to end, inclusive.
type span struct {
	datatype.Reads
	start, end int64
}

// LRange parses LRANGE key start stop.
func LRange(args [][]byte) (operation.Operation, *resp.Value) {
	start, end, err := parseRange(args)
	if err != nil {
		return nil, err
	}
	return &span{start: start, end: end}, nil
}

// Needs asks for the items if the range can be computed without the list's
// size.
func (o *span) Needs() register.Projection {
	one := func(r register.Range) register.Projection {
		return register.Projection{Ranges: []register.Range{r}}
	}
	switch {
	case (o.start < 0) == (o.end < 0) && o.start > o.end:
		return register.Projection{}
	case o.start >= 0 && o.end >= 0:
		return one(register.Range{Skip: uint64(o.start), Limit: limited(uint64(o.end-o.start) + 1)})
	case o.start < 0 && o.end < 0:
		return one(register.Range{Skip: uint64(-(o.end + 1)), Limit: limited(uint64(o.end-o.start) + 1), Reverse: true})
	case o.end == -1:
		return one(register.Range{Skip: uint64(o.start)})
	}
	return register.Projection{}
}

func (o *span) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	if err != nil {
		return datatype.Reply(err)
	}
	from, to := l.clip(o.start, o.end)
	if from >= to {
		return datatype.Reply(resp.List())
	}
	elems, need := l.slice(v, from, to)
	if need != nil {
		return datatype.Need(register.Projection{Ranges: []register.Range{*need}})
	}
	return datatype.Reply(array(elems))
}

// set replaces one item.
type set struct {
	datatype.Writes
	index int64
	valid bool
	item  []byte
}

// LSet parses LSET key index element.
func LSet(args [][]byte) (operation.Operation, *resp.Value) {
	i, ok := number.ParseInt(args[2])
	return &set{index: i, valid: ok, item: args[3]}, nil
}

// Needs asks only for the header, which is enough to compute the label in a
// regular list.
func (*set) Needs() register.Projection { return register.Projection{} }

func (o *set) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case l.size() == 0:
		return datatype.Reply(resp.ErrNoSuchKey)
	case !o.valid:
		return datatype.Reply(resp.ErrNotInteger)
	}
	i, ok := l.place(o.index)
	if !ok {
		return datatype.Reply(resp.ErrOutOfRange)
	}
	put := register.Op{Kind: register.Put, Value: o.item}
	if l.regular() {
		put.Key = keyOf(l.first + i*stride)
	} else {
		elems, need := l.slice(v, i, i+1)
		if need != nil {
			return datatype.Need(register.Projection{Ranges: []register.Range{*need}})
		}
		if len(elems) == 0 {
			return datatype.Reply(errDamaged)
		}
		put.Key = elems[0].Key
	}
	return datatype.Changes(v.Header, v.Header, []register.Op{put}, resp.OK)
}
