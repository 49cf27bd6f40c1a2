package stream

import (
	"bytes"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/stream/entry"
)

// books are a group with the consumers and pending entries that a command
// touches. The command changes what is pending for whom; counters, indexes and
// operations are derived from that. If the books lack data, they add it to
// need, and all results so far are invalid.
type books struct {
	v     register.View
	name  []byte
	was   group
	group group
	need  register.Projection

	consumers map[string]*account
	accounts  []*account // the same, in opening order
	entries   map[entry.ID]*note
	notes     []*note
}

// account is a consumer.
type account struct {
	consumer
	name   []byte
	was    consumer
	exists bool // existed before
	used   bool // exists now
}

// note is an entry that may be pending: its record before (was) and now (is),
// nil if not pending.
type note struct {
	id      entry.ID
	was, is *pending
}

// open returns the books of a group, or false if the group does not exist. The
// view must cover its record.
func open(v register.View, name []byte) (*books, bool) {
	value, ok := v.Get(groupKey(name))
	if !ok {
		return nil, false
	}
	g := groupOf(value)
	return &books{v: v, name: name, was: g, group: g, consumers: map[string]*account{}, entries: map[entry.ID]*note{}}, true
}

// account returns a consumer, which may not exist.
func (b *books) account(name []byte) *account {
	a := b.consumers[string(name)]
	if a != nil {
		return a
	}
	a = &account{name: name, consumer: consumer{active: -1}}
	if value, ok := entry.Lookup(b.v, consumerKey(b.name, name), &b.need); ok {
		a.consumer, a.exists, a.used = consumerOf(value), true, true
		a.was = a.consumer
	}
	b.consumers[string(name)] = a
	b.accounts = append(b.accounts, a)
	return a
}

// seen returns a consumer, creating it if necessary, and marks it as seen at
// the time now.
func (b *books) seen(name []byte, now int64) *account {
	a := b.account(name)
	a.consumer.seen, a.used = now, true
	return a
}

// note returns what is known about an entry.
func (b *books) note(id entry.ID) *note {
	n := b.entries[id]
	if n != nil {
		return n
	}
	n = &note{id: id}
	if value, ok := entry.Lookup(b.v, pendingKey(b.name, id), &b.need); ok {
		p := pendingOf(value)
		n.was, n.is = &p, &p
	}
	b.entries[id] = n
	b.notes = append(b.notes, n)
	return n
}

// close returns the effect of all changes. It calls reply if no data is
// missing.
func (b *books) close(reply func() *resp.Value) operation.Effect {
	var ops []register.Op
	for _, n := range b.notes {
		ops = b.settle(ops, n)
	}
	for _, a := range b.accounts {
		switch {
		case !a.used || (a.exists && a.consumer == a.was):
			continue
		case !a.exists:
			b.group.consumers++
		}
		ops = append(ops, a.op(b.name, a.name))
	}
	if b.group != b.was {
		ops = append(ops, b.group.op(b.name))
	}
	switch {
	case entry.Lacking(&b.need):
		return datatype.Need(b.need)
	case len(ops) == 0:
		return datatype.Reply(reply())
	}
	return entry.Changes(b.v.Header, b.v.Header, ops, reply())
}

// settle writes the changes of one entry.
func (b *books) settle(ops []register.Op, n *note) []register.Op {
	if n.was == n.is {
		return ops
	}
	moved := n.was == nil || n.is == nil || !bytes.Equal(n.was.consumer, n.is.consumer)
	if n.was != nil && moved {
		b.account(n.was.consumer).pending--
		b.group.pending--
		ops = append(ops, entry.Remove(indexKey(b.name, n.was.consumer, n.id)))
	}
	if n.is == nil {
		return append(ops, entry.Remove(pendingKey(b.name, n.id)))
	}
	if moved {
		b.account(n.is.consumer).pending++
		b.group.pending++
		ops = append(ops, entry.Put(indexKey(b.name, n.is.consumer, n.id), nil))
	}
	if moved || n.was.time != n.is.time || n.was.count != n.is.count {
		ops = append(ops, n.is.op(b.name, n.id))
	}
	return ops
}
