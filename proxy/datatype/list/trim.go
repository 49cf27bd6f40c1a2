package list

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// trim keeps items start to end, inclusive.
type trim struct {
	datatype.Writes
	start, end int64
}

// LTrim parses LTRIM key start stop.
func LTrim(args [][]byte) (operation.Operation, *resp.Value) {
	start, end, err := parseRange(args)
	if err != nil {
		return nil, err
	}
	return &trim{start: start, end: end}, nil
}

// Needs asks only for the header, which is enough to compute the labels in a
// regular list.
func (*trim) Needs() register.Projection { return register.Projection{} }

// replaced is the ratio of removed to kept items from which the kept ones are
// written as a new list. A node can then delete the old list at once.
const replaced = 8

func (o *trim) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	if err != nil {
		return datatype.Reply(err)
	}
	from, to := l.clip(o.start, o.end)
	kept, gone := to-from, l.size()-(to-from)
	switch {
	case gone == 0:
		return datatype.Reply(resp.OK)
	case kept == 0:
		return datatype.Deletes(resp.OK)
	case kept < gone/replaced:
		return l.keep(v, from, to)
	case l.regular():
		return l.cut(v.Header, from, to)
	}
	return l.cutCounted(v, from, to)
}

// keep reduces the list to the items from index from up to, excluding, index
// to.
func (l *layout) keep(v register.View, from, to uint64) operation.Effect {
	elems, need := l.slice(v, from, to)
	if need != nil {
		return datatype.Need(register.Projection{Ranges: []register.Range{*need}})
	}
	h, ops := labelled(l.header, values(elems))
	return datatype.Becomes(h, ops, resp.OK)
}

// cut removes all items outside a range of a regular list.
func (l *layout) cut(old register.Header, from, to uint64) operation.Effect {
	ops := make([]register.Op, 0, l.size()-(to-from))
	remove := func(i uint64) {
		ops = append(ops, register.Op{Kind: register.Remove, Key: keyOf(l.first + i*stride)})
	}
	for i := range from {
		remove(i)
	}
	for i := to; i < l.size(); i++ {
		remove(i)
	}
	l.last = l.first + (to-1)*stride
	l.first += from * stride
	l.header.Size = to - from
	return l.changes(old, ops, resp.OK)
}

// cutCounted removes all items outside a range of a list whose labels must be
// looked up: those of the removed items and of the new ends.
func (l *layout) cutCounted(v register.View, from, to uint64) operation.Effect {
	var missing register.Projection
	look := func(from, to uint64) []register.Element {
		elems, need := l.slice(v, from, to)
		if need != nil {
			missing.Ranges = append(missing.Ranges, *need)
		}
		return elems
	}
	head, tail := look(0, from+1), look(to-1, l.size())
	if !missing.HeaderOnly() {
		return datatype.Need(missing)
	}
	if uint64(len(head)) <= from || len(tail) == 0 {
		return datatype.Reply(errDamaged)
	}
	ops := make([]register.Op, 0, l.size()-(to-from))
	ops = removals(removals(ops, head[:from]), tail[1:])
	l.first, l.last = labelOf(head[from].Key), labelOf(tail[0].Key)
	l.header.Size = to - from
	return l.changes(v.Header, ops, resp.OK)
}
