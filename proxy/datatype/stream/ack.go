package stream

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/stream/entry"
)

// member has the names that most group commands take.
type member struct {
	key, group, consumer []byte
}

// errNoGroup is the error if there is no such stream or group.
func (m *member) errNoGroup() *resp.Value {
	return resp.Errf("NOGROUP No such key '%s' or consumer group '%s'", m.key, m.group)
}

// openGroup opens the books of a group, which must exist.
func (m *member) openGroup(v register.View) (*books, *resp.Value) {
	if err := entry.Check(v.Header); err != nil {
		return nil, err
	}
	b, ok := open(v, m.group)
	if !ok {
		return nil, m.errNoGroup()
	}
	return b, nil
}

// ack acknowledges entries.
type ack struct {
	datatype.Writes
	group []byte
	ids   []entry.ID
	err   *resp.Value // error in the IDs, reported only if the group exists
}

// Ack parses XACK key group id [id ...].
func Ack(args [][]byte) (operation.Operation, *resp.Value) {
	o := &ack{group: args[2]}
	o.ids, o.err = entry.ParseIDs(args[3:])
	return o, nil
}

func (o *ack) Needs() register.Projection {
	p := register.Projection{Keys: make([][]byte, 1, 1+len(o.ids))}
	p.Keys[0] = groupKey(o.group)
	for _, id := range o.ids {
		p.Keys = append(p.Keys, pendingKey(o.group, id))
	}
	return p
}

func (o *ack) Execute(v register.View, _ int64) operation.Effect {
	if err := entry.Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	b, ok := open(v, o.group)
	switch {
	case !ok:
		return datatype.Reply(resp.Int(0))
	case o.err != nil:
		return datatype.Reply(o.err)
	}
	count := int64(0)
	for _, id := range o.ids {
		if n := b.note(id); n.is != nil {
			n.is = nil
			count++
		}
	}
	return b.close(func() *resp.Value { return resp.Int(count) })
}
