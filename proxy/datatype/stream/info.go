package stream

import (
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream/entry"
)

// fields is a map reply under construction.
type fields []resp.Value

func (f *fields) put(name string, v *resp.Value) { *f = append(*f, *resp.Text(name), *v) }

func (f *fields) count(name string, n uint64) { f.put(name, resp.Int(int64(n))) }

func (f fields) value() resp.Value { return resp.Value{Kind: resp.Map, Elems: f} }

// info describes a stream: by default with its first and last entry, with full
// with part of all its contents.
type info struct {
	datatype.Reads
	full  bool
	count int         // limit for entries and pending entries each; 0 means none
	err   *resp.Value // reported only if the stream exists
}

// Info parses XINFO STREAM key [FULL [COUNT count]].
func Info(args [][]byte) (operation.Operation, *resp.Value) {
	const usual = 10
	o := &info{full: len(args) > 3, count: usual}
	switch rest := args[3:]; {
	case len(rest) == 0:
	case len(rest) == 1 && datatype.Is(rest[0], "FULL"):
	case len(rest) == 3 && datatype.Is(rest[0], "FULL") && datatype.Is(rest[1], "COUNT"):
		n, ok := number.ParseInt(rest[2])
		switch {
		case !ok:
			o.err = resp.ErrNotInteger
		case n >= 0:
			o.count = entry.Limit(n)
		}
	default:
		o.err = resp.ErrSubcommand(args[1], "XINFO")
	}
	return o, nil
}

// countedNodes is the number of nodes up to which the radix tree that Redis
// would use is computed exactly.
const countedNodes = 128

func (o *info) Needs() register.Projection {
	if o.err != nil {
		return register.Projection{}
	}
	p := register.Projection{Ranges: []register.Range{entry.FirstOf(entry.NodePrefix, countedNodes)}}
	if o.full {
		p.Ranges = append(p.Ranges, entry.FirstOf(entry.Prefix, o.count), allGroups)
	} else {
		p.Ranges = append(p.Ranges, entry.FirstOf(entry.Prefix, 1), entry.LastEntry)
	}
	return p
}

var allGroups = entry.Prefixed([]byte{'g'})

func (o *info) Execute(v register.View, _ int64) operation.Effect {
	if err := checkExists(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if o.err != nil {
		return datatype.Reply(o.err)
	}
	d := description{v: v, Meta: entry.MetaOf(v.Header), count: o.count}
	needs := o.Needs().Ranges
	nodes, entries := entry.List(v, needs[0], &d.need), entry.List(v, needs[1], &d.need)
	rest := entry.List(v, needs[2], &d.need)
	var f fields
	f.count("length", d.Length)
	f.count("radix-tree-keys", d.Nodes)
	f.count("radix-tree-nodes", d.treeNodes(nodes))
	f.put("last-generated-id", entry.IDReply(d.Last))
	f.put("max-deleted-entry-id", entry.IDReply(d.MaxDeleted))
	f.count("entries-added", d.Added)
	f.put("recorded-first-entry-id", entry.IDReply(d.First))
	if o.full {
		f.put("entries", entry.Replies(entries))
		groups := make([]resp.Value, len(rest))
		for i, e := range rest {
			groups[i] = d.group(nameOfGroup(e.Key), groupOf(e.Value))
		}
		f.put("groups", resp.List(groups...))
	} else {
		f.count("groups", d.Groups)
		f.put("first-entry", entryOrNil(entries))
		f.put("last-entry", entryOrNil(rest))
	}
	if entry.Lacking(&d.need) {
		return datatype.Need(d.need)
	}
	return datatype.Reply(new(f.value()))
}

// checkExists returns the error if there is no stream.
func checkExists(h register.Header) *resp.Value {
	if !h.Exists() {
		return resp.ErrNoSuchKey
	}
	return entry.Check(h)
}

func entryOrNil(elems []register.Element) *resp.Value {
	if len(elems) == 0 {
		return resp.Nil
	}
	return new(entry.Reply(elems[0]))
}

// description is the XINFO STREAM reply under construction.
type description struct {
	v register.View
	entry.Meta
	count int
	need  register.Projection
}

// treeNodes returns the number of nodes in the radix tree in which Redis would
// store the stream's nodes: exact for few nodes, otherwise an estimate.
func (d *description) treeNodes(stored []register.Element) uint64 {
	if d.Nodes > countedNodes {
		return 2 * d.Nodes
	}
	var keys [][]byte
	for _, e := range stored {
		keys = append(keys, e.Key[1:])
	}
	if d.Nodes > 0 {
		keys = append(keys, d.Tail.Start.AppendTo(nil))
	}
	return treeNodes(keys, 0)
}

// treeNodes counts the nodes of a radix tree below a node, for sorted keys of
// equal length that share their first depth bytes: one where they diverge, one
// for the shared bytes before that, and one at the end of each key.
func treeNodes(keys [][]byte, depth int) uint64 {
	if len(keys) == 0 {
		return 1
	}
	first, last := keys[0], keys[len(keys)-1]
	shared := depth
	for shared < len(first) && first[shared] == last[shared] {
		shared++
	}
	n := uint64(1)
	if shared > depth {
		n++
	}
	if shared == len(first) {
		return n
	}
	for len(keys) > 0 {
		end := slices.IndexFunc(keys, func(k []byte) bool { return k[shared] != keys[0][shared] })
		if end < 0 {
			end = len(keys)
		}
		n += treeNodes(keys[:end], shared+1)
		keys = keys[end:]
	}
	return n
}

func (d *description) group(name []byte, g group) resp.Value {
	var f fields
	f.put("name", resp.Bytes(name))
	f.put("last-delivered-id", entry.IDReply(g.last))
	g.reading(&f, &d.Meta)
	f.count("pel-count", g.pending)
	rows := entry.List(d.v, entry.FirstOf(inGroup('p', name, 0), d.count), &d.need)
	waiting := make([]resp.Value, len(rows))
	for i, row := range rows {
		p := pendingOf(row.Value)
		waiting[i] = *resp.List(*entry.IDReply(entry.IDAtEnd(row.Key)), *resp.Bytes(p.consumer), *resp.Int(p.time), *resp.Int(int64(p.count)))
	}
	f.put("pending", resp.List(waiting...))
	rows = entry.List(d.v, entry.Prefixed(inGroup('c', name, 0)), &d.need)
	consumers := make([]resp.Value, len(rows))
	for i, row := range rows {
		consumers[i] = d.consumer(name, nameOfConsumer(name, row.Key), consumerOf(row.Value))
	}
	f.put("consumers", resp.List(consumers...))
	return f.value()
}

// reading adds a group's progress.
func (g *group) reading(f *fields, m *entry.Meta) {
	read, lag := resp.Nil, resp.Nil
	if g.read != entry.Unread {
		read = resp.Int(g.read)
	}
	if n, ok := g.lag(m); ok {
		lag = resp.Int(n)
	}
	f.put("entries-read", read)
	f.put("lag", lag)
}

func (d *description) consumer(group, name []byte, c consumer) resp.Value {
	var f fields
	f.put("name", resp.Bytes(name))
	f.put("seen-time", resp.Int(c.seen))
	f.count("pel-count", c.pending)
	rows := entry.List(d.v, entry.FirstOf(ofConsumer(group, name), d.count), &d.need)
	waiting := make([]resp.Value, len(rows))
	for i, row := range rows {
		id := entry.IDAtEnd(row.Key)
		value, _ := entry.Lookup(d.v, pendingKey(group, id), &d.need)
		p := pendingOf(value)
		waiting[i] = *resp.List(*entry.IDReply(id), *resp.Int(p.time), *resp.Int(int64(p.count)))
	}
	f.put("pending", resp.List(waiting...))
	return f.value()
}

// infoGroups lists the groups.
type infoGroups struct{ datatype.Reads }

// InfoGroups parses XINFO GROUPS key.
func InfoGroups([][]byte) (operation.Operation, *resp.Value) { return infoGroups{}, nil }

func (infoGroups) Needs() register.Projection {
	return register.Projection{Ranges: []register.Range{allGroups}}
}

func (infoGroups) Execute(v register.View, _ int64) operation.Effect {
	if err := checkExists(v.Header); err != nil {
		return datatype.Reply(err)
	}
	rows, _ := v.Range(allGroups)
	m := entry.MetaOf(v.Header)
	replies := make([]resp.Value, len(rows))
	for i, row := range rows {
		var f fields
		g := groupOf(row.Value)
		f.put("name", resp.Bytes(nameOfGroup(row.Key)))
		f.count("consumers", g.consumers)
		f.count("pending", g.pending)
		f.put("last-delivered-id", entry.IDReply(g.last))
		g.reading(&f, &m)
		replies[i] = f.value()
	}
	return datatype.Reply(resp.List(replies...))
}

// infoConsumers lists a group's consumers.
type infoConsumers struct {
	datatype.Reads
	member
}

// InfoConsumers parses XINFO CONSUMERS key group.
func InfoConsumers(args [][]byte) (operation.Operation, *resp.Value) {
	return &infoConsumers{member: member{key: args[2], group: args[3]}}, nil
}

func (o *infoConsumers) Needs() register.Projection {
	return register.Projection{
		Keys:   [][]byte{groupKey(o.group)},
		Ranges: []register.Range{entry.Prefixed(inGroup('c', o.group, 0))},
	}
}

func (o *infoConsumers) Execute(v register.View, now int64) operation.Effect {
	if err := checkExists(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if _, ok := v.Get(groupKey(o.group)); !ok {
		return datatype.Reply(o.errGroupOf())
	}
	rows, _ := v.Range(o.Needs().Ranges[0])
	replies := make([]resp.Value, len(rows))
	for i, row := range rows {
		var f fields
		c := consumerOf(row.Value)
		f.put("name", resp.Bytes(nameOfConsumer(o.group, row.Key)))
		f.count("pending", c.pending)
		f.count("idle", uint64(max(now-c.seen, 0)))
		replies[i] = f.value()
	}
	return datatype.Reply(resp.List(replies...))
}
