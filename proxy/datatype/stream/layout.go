// Package stream has the commands on streams, as pure functions from a
// register's state to a change and a reply.
//
// # Layout
//
// The header's Size is the number of entries, its Aux the rest of what XADD
// must know (see meta). The elements, by the first byte of their key:
//
//	e ID                        an entry: its fields and values
//	n ID                        a node that begins with that entry (see node)
//	g group                     a consumer group
//	c len group consumer        a consumer
//	p len group ID              an entry that was delivered and not acknowledged
//	q len group len consumer ID the same, by consumer; no value
//
// An ID takes 16 bytes, big end first; a length is a uvarint. Thus entries,
// pending ones and names are in the order in which Redis lists them, and
// whatever a command asks for is one element or one range. The counters that
// Redis has for free, by the sizes of its trees, are kept with the group and
// the consumer.
//
// A stream without entries is a value nevertheless.
package stream

import (
	"encoding/binary"

	"synod/protocol/register"
)

// unread says that it is not known how many entries a group has read.
const unread = -1

// meta is the header of a stream.
type meta struct {
	length                  uint64 // the header's Size
	last, first, maxDeleted ID
	added                   uint64
	groups                  uint64
	// nodes counts the nodes, of which the last, if there is any, is the tail.
	// The others are elements.
	nodes uint64
	tail  node
}

func metaOf(h register.Header) meta {
	r := reader(h.Aux)
	m := meta{
		length: h.Size, last: r.id(), first: r.id(), maxDeleted: r.id(), added: r.uint(), groups: r.uint(), nodes: r.uint(),
	}
	m.tail = r.node(r.id())
	return m
}

// header returns the header of a stream that was old, or was not there.
func (m *meta) header(old register.Header) register.Header {
	aux := make([]byte, 0, 64)
	for _, id := range []ID{m.last, m.first, m.maxDeleted} {
		aux = appendID(aux, id)
	}
	aux = appendUints(aux, m.added, m.groups, m.nodes)
	aux = m.tail.appendTo(appendID(aux, m.tail.start))
	return register.Header{Type: register.Stream, Encoding: old.Encoding, Expiry: old.Expiry, Size: m.length, Aux: aux}
}

// group is a consumer group without its consumers and pending entries.
type group struct {
	last      ID
	read      int64 // entries, or unread
	pending   uint64
	consumers uint64
}

func groupOf(value []byte) group {
	r := reader(value)
	return group{last: r.id(), read: int64(r.uint()) + unread, pending: r.uint(), consumers: r.uint()}
}

func (g *group) op(name []byte) register.Op {
	value := appendID(nil, g.last)
	return put(groupKey(name), appendUints(value, uint64(g.read-unread), g.pending, g.consumers))
}

// consumer is a consumer without its pending entries. The times are Unix
// milliseconds.
type consumer struct {
	seen    int64
	active  int64 // -1: never
	pending uint64
}

func consumerOf(value []byte) consumer {
	r := reader(value)
	return consumer{seen: int64(r.uint()), active: int64(r.uint()) - 1, pending: r.uint()}
}

func (c *consumer) op(group, name []byte) register.Op {
	return put(consumerKey(group, name), appendUints(nil, uint64(c.seen), uint64(c.active+1), c.pending))
}

// pending is a delivered entry that waits for being acknowledged.
type pending struct {
	time     int64 // of the last delivery, in Unix milliseconds
	count    uint64
	consumer []byte
}

func pendingOf(value []byte) pending {
	r := reader(value)
	return pending{time: int64(r.uint()), count: r.uint(), consumer: r}
}

func (p *pending) op(group []byte, id ID) register.Op {
	value := make([]byte, 0, 12+len(p.consumer))
	value = appendUints(value, uint64(p.time), p.count)
	return put(pendingKey(group, id), append(value, p.consumer...))
}

// entryValue packs an entry's fields and values, which take turns.
func entryValue(fields [][]byte) []byte {
	n := binary.MaxVarintLen32
	for _, f := range fields {
		n += binary.MaxVarintLen32 + len(f)
	}
	b := binary.AppendUvarint(make([]byte, 0, n), uint64(len(fields)))
	for _, f := range fields {
		b = appendText(b, f)
	}
	return b
}

// entryFields unpacks what entryValue packed, without copying it.
func entryFields(value []byte) [][]byte {
	r := reader(value)
	fields := make([][]byte, min(r.uint(), uint64(len(r))))
	for i := range fields {
		fields[i] = r.text()
	}
	return fields
}

// The keys of elements.

func entryKey(id ID) []byte { return id.appendTo(append(make([]byte, 0, 1+idBytes), 'e')) }
func nodeKey(id ID) []byte  { return id.appendTo(append(make([]byte, 0, 1+idBytes), 'n')) }

func groupKey(group []byte) []byte { return append([]byte{'g'}, group...) }

func nameOfGroup(key []byte) []byte { return key[1:] }

// inGroup returns the beginning of the keys of one kind and group, with room
// for more.
func inGroup(kind byte, group []byte, room int) []byte {
	b := make([]byte, 0, 1+binary.MaxVarintLen32+len(group)+room)
	return appendText(append(b, kind), group)
}

func consumerKey(group, consumer []byte) []byte {
	return append(inGroup('c', group, len(consumer)), consumer...)
}

// nameOfConsumer returns the consumer that a key in a group is of.
func nameOfConsumer(group, key []byte) []byte { return key[len(inGroup('c', group, 0)):] }

func pendingKey(group []byte, id ID) []byte { return id.appendTo(inGroup('p', group, idBytes)) }

// ofConsumer returns the beginning of the keys of a consumer's pending entries.
func ofConsumer(group, consumer []byte) []byte {
	return appendText(inGroup('q', group, binary.MaxVarintLen32+len(consumer)+idBytes), consumer)
}

func indexKey(group, consumer []byte, id ID) []byte { return id.appendTo(ofConsumer(group, consumer)) }

// between returns the range of the keys with a prefix and an ID from one to
// another, both included; a Limit of zero is none.
func between(prefix []byte, from, to ID, limit int) register.Range {
	prefix = prefix[:len(prefix):len(prefix)]
	return register.Range{From: from.appendTo(prefix), To: register.Next(to.appendTo(prefix)), Limit: limit}
}

var (
	entriesPrefix = []byte{'e'}
	nodesPrefix   = []byte{'n'}
)

// entriesBetween returns the range of entries from one ID to another, both
// included.
func entriesBetween(from, to ID, limit int) register.Range {
	return between(entriesPrefix, from, to, limit)
}

// prefixed returns the range of all the keys with a prefix.
func prefixed(prefix []byte) register.Range {
	s := register.Prefixed(prefix)
	return register.Range{From: s.From, To: s.To}
}

func put(key, value []byte) register.Op {
	return register.Op{Kind: register.Put, Key: key, Value: value}
}

func remove(key []byte) register.Op { return register.Op{Kind: register.Remove, Key: key} }

func appendUints(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendID(b []byte, id ID) []byte { return appendUints(b, id.MS, id.Seq) }

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// reader takes values off its beginning. What is not there is zero.
type reader []byte

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(*r)
	if size <= 0 {
		*r = nil
		return 0
	}
	*r = (*r)[size:]
	return n
}

func (r *reader) id() ID {
	ms := r.uint()
	return ID{ms, r.uint()}
}

func (r *reader) text() []byte {
	n := min(r.uint(), uint64(len(*r)))
	text := (*r)[:n:n]
	*r = (*r)[n:]
	return text
}
