package list

import (
	"bytes"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// insert adds an item next to the first one that equals pivot. Like Redis, it
// searches from the head, so it reads the whole list.
type insert struct {
	datatype.Writes
	pivot, item []byte
	after       bool
}

// LInsert parses LINSERT key BEFORE|AFTER pivot element.
func LInsert(args [][]byte) (operation.Operation, *resp.Value) {
	o := &insert{pivot: args[3], item: args[4], after: datatype.Is(args[2], "AFTER")}
	if !o.after && !datatype.Is(args[2], "BEFORE") {
		return nil, resp.ErrSyntax
	}
	return o, nil
}

func (*insert) Needs() register.Projection { return all }

func (o *insert) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case l.size() == 0:
		return datatype.Reply(resp.Int(0))
	}
	elems := v.Elements()
	i := slices.IndexFunc(elems, func(e register.Element) bool { return bytes.Equal(e.Value, o.pivot) })
	if i < 0 {
		return datatype.Reply(resp.Int(-1))
	}
	if o.after {
		i++
	}
	l.header.Size++
	reply := resp.Int(int64(l.size()))
	if label, ok := l.between(elems, i, o.after); ok {
		l.aligned = l.aligned && (label-l.first)%stride == 0
		l.first, l.last = min(l.first, label), max(l.last, label)
		return l.changes(v.Header, []register.Op{{Kind: register.Put, Key: keyOf(label), Value: o.item}}, reply)
	}
	ops, ok := l.spread(elems, i, o.item)
	if !ok {
		h, ops := labelled(l.header, slices.Insert(values(elems), i, o.item))
		return datatype.Becomes(h, ops, reply)
	}
	return l.changes(v.Header, ops, reply)
}

// share is the part of a gap that an insert uses. Clients often insert
// repeatedly at the same pivot; the next insert then goes into the larger
// remaining part, so a gap holds about a hundred of them.
const share = 8

// between returns a free label for an item before the i-th, if there is one.
// after says that the next insert will probably come before this item,
// otherwise after it.
func (l *layout) between(elems []register.Element, i int, after bool) (uint64, bool) {
	switch {
	case i == 0:
		return l.first - stride, l.first-lowest >= stride
	case i == len(elems):
		return l.last + stride, highest-l.last >= stride
	}
	low, high := labelOf(elems[i-1].Key), labelOf(elems[i].Key)
	gap := high - low
	step := max(1, gap/share)
	if l.aligned && gap > stride {
		step = stride // fills a hole, so the list stays aligned
	}
	if after {
		return high - step, gap > 1
	}
	return low + step, gap > 1
}
