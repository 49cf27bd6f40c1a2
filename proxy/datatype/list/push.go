package list

import (
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// push adds items at one end.
type push struct {
	datatype.Writes
	items [][]byte // in list order
	front bool
	only  bool // only if the list exists
}

// LPush parses LPUSH key element [element ...].
func LPush(args [][]byte) (operation.Operation, *resp.Value) { return pushFront(args, false) }

// LPushX parses LPUSHX key element [element ...].
func LPushX(args [][]byte) (operation.Operation, *resp.Value) { return pushFront(args, true) }

// RPush parses RPUSH key element [element ...].
func RPush(args [][]byte) (operation.Operation, *resp.Value) {
	return &push{items: args[2:]}, nil
}

// RPushX parses RPUSHX key element [element ...].
func RPushX(args [][]byte) (operation.Operation, *resp.Value) {
	return &push{items: args[2:], only: true}, nil
}

func pushFront(args [][]byte, only bool) (operation.Operation, *resp.Value) {
	items := slices.Clone(args[2:])
	slices.Reverse(items) // the last one pushed is the first of the list
	return &push{items: items, front: true, only: only}, nil
}

func (*push) Needs() register.Projection { return register.Projection{} }

func (o *push) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case l.size() == 0 && o.only:
		return datatype.Reply(resp.Int(0))
	case l.size() == 0:
		h, ops := labelled(l.header, o.items)
		return datatype.Becomes(h, ops, resp.Int(int64(h.Size)))
	}
	span := uint64(len(o.items)) * stride
	if room := highest - l.last; (!o.front && room < span) || (o.front && l.first-lowest < span) {
		return o.anew(v, &l)
	}
	l.header.Size += uint64(len(o.items))
	from := l.last + stride
	if o.front {
		l.first -= span
		from = l.first
	} else {
		l.last += span
	}
	ops := puts(make([]register.Op, 0, len(o.items)), from, o.items)
	return l.changes(v.Header, ops, resp.Int(int64(l.size())))
}

// anew pushes to a list that has reached an end of the labels.
func (o *push) anew(v register.View, l *layout) operation.Effect {
	if !v.Whole() {
		return datatype.Need(all)
	}
	items := slices.Concat(Items(v), o.items)
	if o.front {
		items = slices.Concat(o.items, Items(v))
	}
	h, ops := labelled(l.header, items)
	return datatype.Becomes(h, ops, resp.Int(int64(h.Size)))
}

var all = register.Projection{All: true}
