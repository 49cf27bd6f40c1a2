package stream

import (
	"bytes"
	"slices"

	"synod/protocol/register"
	"synod/proxy/datatype/stream/entry"
)

// Value is the complete content of a stream.
type Value struct {
	Entries    []Entry  // in the order of their IDs
	Last       entry.ID // of the last entry that was added
	First      entry.ID // of the first entry; 0-0 if there is none
	MaxDeleted entry.ID // the greatest ID that XDEL removed
	Added      uint64   // number of entries ever added
	Groups     []Group  // in the order of their names
}

// Entry is one entry.
type Entry struct {
	ID     entry.ID
	Fields [][]byte // alternating fields and values
}

// Group is a consumer group.
type Group struct {
	Name      []byte
	Last      entry.ID // of the last entry that was delivered
	Read      int64    // number of delivered entries; -1 if unknown
	Pending   []Pending
	Consumers []Consumer // in the order of their names
}

// Pending is an entry that was delivered and not yet acknowledged. The entry
// itself may have been deleted.
type Pending struct {
	ID       entry.ID
	Consumer []byte // name of one of the group's consumers
	Time     int64  // of the last delivery, in Unix milliseconds
	Count    uint64 // of deliveries
}

// Consumer is a member of a group. Its times are Unix milliseconds.
type Consumer struct {
	Name   []byte
	Seen   int64 // last request
	Active int64 // last successful request; -1: never
}

// Build returns the header and the operations that create a stream. First is
// derived from the entries. Entries, groups, consumers and pending entries may
// be in any order, without duplicates. A missing consumer of a pending entry is
// added.
func Build(value Value) (register.Header, []register.Op) {
	m := entry.Meta{
		Length: uint64(len(value.Entries)), Last: value.Last, MaxDeleted: value.MaxDeleted,
		Added: value.Added, Groups: uint64(len(value.Groups)),
	}
	entries := slices.SortedFunc(slices.Values(value.Entries), func(a, b Entry) int { return a.ID.Compare(b.ID) })
	ops := make([]register.Op, 0, len(entries)+len(value.Groups))
	for _, e := range entries {
		ops = append(ops, entry.Put(entry.Key(e.ID), entry.Value(e.Fields)))
		if closed := m.Extend(e.ID, e.Fields); closed != nil {
			ops = append(ops, closed.Op())
		}
	}
	if len(entries) > 0 {
		m.First = entries[0].ID
	}
	for _, g := range value.Groups {
		ops = g.build(ops)
	}
	slices.SortFunc(ops, func(a, b register.Op) int { return bytes.Compare(a.Key, b.Key) })
	return m.Header(register.Header{}), ops
}

func (g *Group) build(ops []register.Op) []register.Op {
	consumers := map[string]*consumer{}
	for _, c := range g.Consumers {
		consumers[string(c.Name)] = &consumer{seen: c.Seen, active: c.Active}
	}
	for _, p := range g.Pending {
		c := consumers[string(p.Consumer)]
		if c == nil {
			c = &consumer{seen: p.Time, active: p.Time}
			consumers[string(p.Consumer)] = c
		}
		c.pending++
		row := pending{time: p.Time, count: p.Count, consumer: p.Consumer}
		ops = append(ops, row.op(g.Name, p.ID), entry.Put(indexKey(g.Name, p.Consumer, p.ID), nil))
	}
	for name, c := range consumers {
		ops = append(ops, c.op(g.Name, []byte(name)))
	}
	row := group{last: g.Last, read: g.Read, pending: uint64(len(g.Pending)), consumers: uint64(len(consumers))}
	return append(ops, row.op(g.Name))
}

// Read returns the content of a view, which must cover the whole stream. The
// value shares the view's memory.
func Read(v register.View) Value {
	m := entry.MetaOf(v.Header)
	value := Value{
		Last: m.Last, First: m.First, MaxDeleted: m.MaxDeleted, Added: m.Added,
		Entries: make([]Entry, 0, m.Length),
	}
	each(v, entry.Prefix, func(e register.Element) {
		value.Entries = append(value.Entries, Entry{ID: entry.IDAtEnd(e.Key), Fields: entry.Fields(e.Value)})
	})
	each(v, []byte{'g'}, func(e register.Element) {
		value.Groups = append(value.Groups, groupValue(v, nameOfGroup(e.Key), groupOf(e.Value)))
	})
	return value
}

func groupValue(v register.View, name []byte, row group) Group {
	g := Group{Name: name, Last: row.last, Read: row.read}
	each(v, inGroup('p', name, 0), func(e register.Element) {
		p := pendingOf(e.Value)
		g.Pending = append(g.Pending, Pending{ID: entry.IDAtEnd(e.Key), Consumer: p.consumer, Time: p.time, Count: p.count})
	})
	each(v, inGroup('c', name, 0), func(e register.Element) {
		c := consumerOf(e.Value)
		g.Consumers = append(g.Consumers, Consumer{Name: nameOfConsumer(name, e.Key), Seen: c.seen, Active: c.active})
	})
	return g
}

// each calls visit for the elements whose keys begin with prefix.
func each(v register.View, prefix []byte, visit func(register.Element)) {
	elems, _ := v.Range(entry.Prefixed(prefix))
	for _, e := range elems {
		visit(e)
	}
}
