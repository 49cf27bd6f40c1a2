package stream

import (
	"encoding/binary"

	"synod/protocol/register"
	"synod/proxy/datatype/stream/entry"
)

// group is a consumer group's record, without its consumers and pending
// entries.
type group struct {
	last      entry.ID
	read      int64 // entries, or unread
	pending   uint64
	consumers uint64
}

func groupOf(value []byte) group {
	r := entry.Reader(value)
	return group{last: r.ID(), read: int64(r.Uint()) + entry.Unread, pending: r.Uint(), consumers: r.Uint()}
}

func (g *group) op(name []byte) register.Op {
	value := entry.AppendID(nil, g.last)
	return entry.Put(groupKey(name), entry.AppendUints(value, uint64(g.read-entry.Unread), g.pending, g.consumers))
}

// consumer is a consumer's record, without its pending entries. Times are Unix
// milliseconds.
type consumer struct {
	seen    int64
	active  int64 // -1 means never
	pending uint64
}

func consumerOf(value []byte) consumer {
	r := entry.Reader(value)
	return consumer{seen: int64(r.Uint()), active: int64(r.Uint()) - 1, pending: r.Uint()}
}

func (c *consumer) op(group, name []byte) register.Op {
	return entry.Put(consumerKey(group, name), entry.AppendUints(nil, uint64(c.seen), uint64(c.active+1), c.pending))
}

// pending is an entry that was delivered and not yet acknowledged.
type pending struct {
	time     int64 // of the last delivery, in Unix milliseconds
	count    uint64
	consumer []byte
}

func pendingOf(value []byte) pending {
	r := entry.Reader(value)
	return pending{time: int64(r.Uint()), count: r.Uint(), consumer: r}
}

func (p *pending) op(group []byte, id entry.ID) register.Op {
	value := make([]byte, 0, 12+len(p.consumer))
	value = entry.AppendUints(value, uint64(p.time), p.count)
	return entry.Put(pendingKey(group, id), append(value, p.consumer...))
}

func groupKey(group []byte) []byte { return append([]byte{'g'}, group...) }

func nameOfGroup(key []byte) []byte { return key[1:] }

// inGroup returns the key prefix for one kind and group, with spare capacity.
func inGroup(kind byte, group []byte, room int) []byte {
	b := make([]byte, 0, 1+binary.MaxVarintLen32+len(group)+room)
	return entry.AppendText(append(b, kind), group)
}

func consumerKey(group, consumer []byte) []byte {
	return append(inGroup('c', group, len(consumer)), consumer...)
}

// nameOfConsumer returns the consumer's name from a key in a group.
func nameOfConsumer(group, key []byte) []byte { return key[len(inGroup('c', group, 0)):] }

func pendingKey(group []byte, id entry.ID) []byte {
	return id.AppendTo(inGroup('p', group, entry.IDBytes))
}

// ofConsumer returns the key prefix of a consumer's pending entries.
func ofConsumer(group, consumer []byte) []byte {
	return entry.AppendText(inGroup('q', group, binary.MaxVarintLen32+len(consumer)+entry.IDBytes), consumer)
}

func indexKey(group, consumer []byte, id entry.ID) []byte {
	return id.AppendTo(ofConsumer(group, consumer))
}

// lag returns how many entries a group has not read yet, if known.
func (g *group) lag(m *entry.Meta) (int64, bool) {
	if m.Added == 0 {
		return 0, true
	}
	read := g.read
	if read == entry.Unread || m.DeletedFrom(g.last) {
		read = m.ReadBefore(g.last)
	}
	return int64(m.Added) - read, read != entry.Unread
}

// deliver counts an entry that is new to the group as read.
func (g *group) deliver(m *entry.Meta, id entry.ID) {
	switch {
	case g.read != entry.Unread && !m.DeletedFrom(id):
		g.read++
	case m.Added > 0:
		g.read = m.ReadBefore(id)
	}
	g.last = id
}
