package rdb

import (
	"encoding/binary"
	"errors"
	"slices"

	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream"
)

// A stream is a list of nodes. Each has a key, which is its first ID (16 bytes,
// big-endian), and a listpack. The listpack starts with the number of entries,
// the number of deleted entries, the number of fields of the first entry, those
// fields, and 0. Each entry then has flags, both parts of its ID relative to
// the node's, the number of fields and their names (unless they are the same as
// the first entry's), its values (alternating with the fields, if present), and
// how many listpack entries it took, not counting this number.
const (
	streamNodeEntries = 100
	streamNodeBytes   = 4096

	entryDeleted    = 1
	entrySameFields = 2
	entryFrame      = 3 // flags and ID
)

var (
	errStream  = errors.New("broken stream")
	errPending = errors.New("pending entry without exactly one consumer, or a duplicate")
)

func appendStream(dst []byte, s stream.Value) []byte {
	var nodes []byte
	count := uint64(0)
	for rest := s.Entries; len(rest) > 0; count++ {
		node, n := streamNode(rest)
		nodes = appendString(nodes, appendID(nil, rest[0].ID))
		nodes = appendString(nodes, node)
		rest = rest[n:]
	}
	dst = append(AppendLength(dst, count), nodes...)
	dst = AppendLength(dst, uint64(len(s.Entries)))
	for _, id := range []stream.ID{s.Last, s.First, s.MaxDeleted} {
		dst = appendLengths(dst, id.MS, id.Seq)
	}
	dst = appendLengths(dst, s.Added, uint64(len(s.Groups)))
	for _, g := range s.Groups {
		dst = appendGroup(dst, g)
	}
	return dst
}

func appendLengths(dst []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		dst = AppendLength(dst, n)
	}
	return dst
}

func appendID(dst []byte, id stream.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, id.MS), id.Seq)
}

func appendTime(dst []byte, ms int64) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(ms))
}

// streamNode returns a node of the first entries, and how many entries it
// holds.
func streamNode(entries []stream.Entry) (node []byte, n int) {
	master := entries[0]
	p := newListpack()
	p.addInt(0) // the count is set below; it takes one byte
	p.addInt(0)
	p.addInt(int64(len(master.Fields) / 2))
	for i := 0; i < len(master.Fields); i += 2 {
		p.add(master.Fields[i])
	}
	p.addInt(0)
	for _, e := range entries {
		given := 0
		for _, f := range e.Fields {
			given += len(f)
		}
		if n > 0 && (p.size()+given >= streamNodeBytes || n >= streamNodeEntries) {
			break
		}
		p.addEntry(master, e)
		n++
	}
	p.buf[listpackHeader] = byte(n)
	return p.done(), n
}

func (p *listpack) addEntry(master, e stream.Entry) {
	fields := int64(len(e.Fields) / 2)
	flags, took := int64(0), 2*fields+entryFrame+1
	same := sameFields(master.Fields, e.Fields)
	if same {
		flags, took = entrySameFields, fields+entryFrame
	}
	p.addInt(flags)
	p.addInt(int64(e.ID.MS - master.ID.MS))
	p.addInt(int64(e.ID.Seq - master.ID.Seq))
	if !same {
		p.addInt(fields)
	}
	for i, f := range e.Fields {
		if i%2 == 1 || !same {
			p.add(f)
		}
	}
	p.addInt(took)
}

func sameFields(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i += 2 {
		if string(a[i]) != string(b[i]) {
			return false
		}
	}
	return true
}

func appendGroup(dst []byte, g stream.Group) []byte {
	dst = appendString(dst, g.Name)
	dst = appendLengths(dst, g.Last.MS, g.Last.Seq, uint64(g.Read), uint64(len(g.Pending)))
	of := map[string][]stream.ID{}
	for _, p := range g.Pending {
		dst = AppendLength(appendTime(appendID(dst, p.ID), p.Time), p.Count)
		of[string(p.Consumer)] = append(of[string(p.Consumer)], p.ID)
	}
	dst = AppendLength(dst, uint64(len(g.Consumers)))
	for _, c := range g.Consumers {
		dst = appendTime(appendString(dst, c.Name), c.Seen)
		ids := of[string(c.Name)]
		dst = AppendLength(dst, uint64(len(ids)))
		for _, id := range ids {
			dst = appendID(dst, id)
		}
	}
	return dst
}

// id reads an ID written as two lengths.
func (r *reader) id() stream.ID { return stream.ID{MS: r.length(), Seq: r.length()} }

// rawID reads an ID of 16 bytes.
func (r *reader) rawID() stream.ID { return stream.ID{MS: r.uint(8), Seq: r.uint(8)} }

func (r *reader) time() int64 { return int64(r.little(8)) }

func (r *reader) stream(kind uint64) stream.Value {
	var s stream.Value
	for n := r.length(); n > 0 && r.err == nil; n-- {
		key := reader{rest: r.string()}
		if r.err == nil && len(key.rest) != 16 {
			r.fail(errStream)
			break
		}
		items := r.listpack(r.string())
		if r.err == nil {
			s.Entries = r.node(s.Entries, key.rawID(), items)
		}
	}
	length := r.length()
	s.Last, s.Added = r.id(), length
	if len(s.Entries) > 0 {
		s.First = s.Entries[0].ID
		if last := s.Entries[len(s.Entries)-1].ID; last.Compare(s.Last) > 0 {
			r.fail(errStream)
		}
	}
	if kind != typeStream1 {
		r.id() // the first ID, which the entries show already
		s.MaxDeleted = r.id()
		s.Added = r.length()
	}
	if length != uint64(len(s.Entries)) {
		r.fail(errStream)
	}
	names := map[string]bool{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		g := r.group(kind, &s)
		if names[string(g.Name)] {
			r.fail(errTwice)
		}
		names[string(g.Name)] = true
		s.Groups = append(s.Groups, g)
	}
	return s
}

// items splits a node's listpack.
type items struct {
	rest   [][]byte
	broken bool
}

func (it *items) next() []byte {
	if len(it.rest) == 0 {
		it.broken = true
		return nil
	}
	item := it.rest[0]
	it.rest = it.rest[1:]
	return item
}

func (it *items) int() int64 {
	n, ok := number.ParseInt(it.next())
	if !ok {
		it.broken = true
	}
	return n
}

// count reads the number of things that follow; each takes at least one item.
func (it *items) count() int64 {
	n := it.int()
	if n < 0 || n > int64(len(it.rest)) {
		it.broken = true
		return 0
	}
	return n
}

// node appends a node's entries to those of earlier nodes.
func (r *reader) node(entries []stream.Entry, key stream.ID, packed [][]byte) []stream.Entry {
	it := items{rest: packed}
	live, deleted := it.count(), it.count()
	master := make([][]byte, it.count())
	for i := range master {
		master[i] = it.next()
	}
	if it.int() != 0 {
		it.broken = true
	}
	for n := live + deleted; n > 0 && !it.broken; n-- {
		e, gone := it.entry(key, master)
		if gone {
			continue
		}
		live--
		if len(entries) > 0 && entries[len(entries)-1].ID.Compare(e.ID) >= 0 {
			it.broken = true
		}
		entries = append(entries, e)
	}
	if it.broken || live != 0 || len(it.rest) > 0 {
		r.fail(errStream)
		return nil
	}
	return entries
}

// entry reads one entry, and whether it was deleted.
func (it *items) entry(key stream.ID, master [][]byte) (e stream.Entry, deleted bool) {
	before := len(it.rest)
	flags := it.int()
	e.ID = stream.ID{MS: key.MS + uint64(it.int()), Seq: key.Seq + uint64(it.int())}
	if flags&entrySameFields != 0 {
		if len(master) > len(it.rest) {
			it.broken = true
			return e, false
		}
		e.Fields = make([][]byte, 0, 2*len(master))
		for _, f := range master {
			e.Fields = append(e.Fields, f, it.next())
		}
	} else {
		n := it.count()
		for range 2 * n {
			e.Fields = append(e.Fields, it.next())
		}
	}
	took := before - len(it.rest)
	if it.int() != int64(took) {
		it.broken = true
	}
	return e, flags&entryDeleted != 0
}

func (r *reader) group(kind uint64, s *stream.Value) stream.Group {
	g := stream.Group{Name: r.string(), Last: r.id()}
	if kind == typeStream1 {
		g.Read = estimatedRead(s, g.Last)
	} else {
		if g.Read = int64(r.length()); g.Read < -1 {
			r.fail(errStream)
		}
	}
	// Maps each pending entry to its index in g.Pending and whether it has a
	// consumer.
	places := map[stream.ID]int{}
	owned := map[stream.ID]bool{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		p := stream.Pending{ID: r.rawID(), Time: r.time(), Count: r.length()}
		if _, twice := places[p.ID]; twice {
			r.fail(errPending)
		}
		places[p.ID] = len(g.Pending)
		g.Pending = append(g.Pending, p)
	}
	names := map[string]bool{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		c := stream.Consumer{Name: r.string(), Seen: r.time()}
		c.Active = c.Seen
		if kind == typeStream3 {
			c.Active = r.time()
		}
		if names[string(c.Name)] {
			r.fail(errTwice)
		}
		names[string(c.Name)] = true
		for m := r.length(); m > 0 && r.err == nil; m-- {
			id := r.rawID()
			at, known := places[id]
			if !known || owned[id] {
				r.fail(errPending)
				break
			}
			owned[id] = true
			g.Pending[at].Consumer = c.Name
		}
		g.Consumers = append(g.Consumers, c)
	}
	if len(owned) != len(places) {
		r.fail(errPending)
	}
	slices.SortFunc(g.Pending, func(a, b stream.Pending) int { return a.ID.Compare(b.ID) })
	return g
}

// estimatedRead estimates how many entries a group has read up to id, for a
// stream in the old format; -1 if unknown.
func estimatedRead(s *stream.Value, id stream.ID) int64 {
	toLast := id.Compare(s.Last)
	switch {
	case s.Added == 0:
		return 0
	case toLast == 0:
		return int64(s.Added)
	case toLast > 0:
		return -1
	case id.Compare(s.First) < 0:
		return 0
	case id.Compare(s.First) == 0:
		return 1
	}
	return -1
}
