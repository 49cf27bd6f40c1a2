package entry

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// del removes entries by their IDs.
type del struct {
	datatype.Writes
	ids []ID
	err *resp.Value // error in the IDs, reported only if the stream exists
}

// Del parses XDEL key id [id ...].
func Del(args [][]byte) (operation.Operation, *resp.Value) {
	o := &del{}
	o.ids, o.err = ParseIDs(args[2:])
	return o, nil
}

// Needs returns the entries, their nodes, and enough entries from the front to
// find the new first entry.
func (o *del) Needs() register.Projection {
	if o.err != nil {
		return register.Projection{}
	}
	p := register.Projection{Ranges: []register.Range{FirstOf(Prefix, len(o.ids)+1)}}
	for _, id := range o.ids {
		p.Keys = append(p.Keys, Key(id))
		p.Ranges = append(p.Ranges, nodeAt(id))
	}
	return p
}

// nodeAt returns the range of the node that contains an entry, unless that is
// the tail.
func nodeAt(id ID) register.Range {
	r := Between(NodePrefix, ID{}, id, 1)
	r.Reverse = true
	return r
}

func (o *del) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	switch {
	case !v.Header.Exists():
		return datatype.Reply(resp.Int(0))
	case o.err != nil:
		return datatype.Reply(o.err)
	}
	m := MetaOf(v.Header)
	d := deletion{v: v, Meta: &m, gone: map[ID]bool{}, nodes: map[ID]*Node{}}
	for _, id := range o.ids {
		d.delete(id)
	}
	if len(d.gone) == 0 && !Lacking(&d.need) {
		return datatype.Reply(resp.Int(0))
	}
	d.finish()
	if Lacking(&d.need) {
		return datatype.Need(d.need)
	}
	return Changes(v.Header, m.Header(v.Header), d.ops, resp.Int(int64(len(d.gone))))
}

// deletion is a stream during the removal of entries.
type deletion struct {
	v register.View
	*Meta
	gone  map[ID]bool
	nodes map[ID]*Node // stored nodes that lost entries, by Start
	order []*Node      // the same, in the order of their first loss
	ops   []register.Op
	need  register.Projection
}

// delete removes an entry if it exists.
func (d *deletion) delete(id ID) {
	key := Key(id)
	if _, exists := Lookup(d.v, key, &d.need); !exists || d.gone[id] {
		return
	}
	d.gone[id] = true
	d.ops = append(d.ops, Remove(key))
	d.Length--
	if d.MaxDeleted.Less(id) {
		d.MaxDeleted = id
	}
	if !id.Less(d.Tail.Start) {
		d.Tail.live--
		return
	}
	row := List(d.v, nodeAt(id), &d.need)
	if len(row) == 0 {
		return
	}
	n := d.nodes[IDAtEnd(row[0].Key)]
	if n == nil {
		stored := nodeOf(row[0])
		n = &stored
		d.nodes[n.Start] = n
		d.order = append(d.order, n)
	}
	n.live--
}

// finish removes empty nodes and finds the first entry.
func (d *deletion) finish() {
	for _, n := range d.order {
		if n.live > 0 {
			d.ops = append(d.ops, n.Op())
			continue
		}
		d.ops = append(d.ops, Remove(nodeKey(n.Start)))
		d.Meta.Nodes--
	}
	if d.Meta.Nodes > 0 && d.Tail.live == 0 && d.tailLost() {
		d.Meta.Nodes--
		d.promote()
	}
	switch {
	case d.Length == 0:
		d.First = ID{}
	case d.gone[d.First]:
		for _, e := range List(d.v, FirstOf(Prefix, len(d.gone)+1), &d.need) {
			if id := IDAtEnd(e.Key); !d.gone[id] {
				d.First = id
				return
			}
		}
	}
}

// tailLost reports whether the tail lost an entry. An empty tail need not have
// lost one: trimming can leave it empty.
func (d *deletion) tailLost() bool { return d.Tail.live < MetaOf(d.v.Header).Tail.live }

// promote turns the last stored node into the tail.
func (d *deletion) promote() {
	d.Tail = Node{}
	if d.Meta.Nodes == 0 {
		return
	}
	r := Prefixed(NodePrefix)
	r.Limit, r.Reverse = len(d.nodes)+1, true
	for _, e := range List(d.v, r, &d.need) {
		n := d.nodes[IDAtEnd(e.Key)]
		if n == nil {
			stored := nodeOf(e)
			n = &stored
		} else if n.live == 0 {
			continue
		}
		d.Tail = *n
		d.ops = append(d.ops, Remove(e.Key))
		return
	}
}

// setID sets the last ID and the counters of a stream.
type setID struct {
	datatype.Writes
	id         ID
	added      int64 // -1: absent
	maxDeleted ID    // 0-0: absent
}

var (
	errAdded        = resp.Err("ERR entries_added must be positive")
	errDeletedGiven = resp.Err("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
	errTopItem      = resp.Err("ERR The ID specified in XSETID is smaller than the target stream top item")
	errAddedLength  = resp.Err("ERR The entries_added specified in XSETID is smaller than the target stream length")
)

// SetID parses XSETID key last-id [ENTRIESADDED entries] [MAXDELETEDID id].
func SetID(args [][]byte) (operation.Operation, *resp.Value) {
	o := &setID{added: -1}
	var err *resp.Value
	if o.id, err = ParseID(args[2], 0); err != nil {
		return nil, err
	}
	for rest := args[3:]; len(rest) > 0; rest = rest[2:] {
		switch {
		case len(rest) == 1:
			return nil, resp.ErrSyntax
		case datatype.Is(rest[0], "ENTRIESADDED"):
			n, ok := number.ParseInt(rest[1])
			switch {
			case !ok:
				return nil, resp.ErrNotInteger
			case n < 0:
				return nil, errAdded
			}
			o.added = n
		case datatype.Is(rest[0], "MAXDELETEDID"):
			if o.maxDeleted, err = ParseID(rest[1], 0); err != nil {
				return nil, err
			}
			if o.id.Less(o.maxDeleted) {
				return nil, errDeletedGiven
			}
		default:
			return nil, resp.ErrSyntax
		}
	}
	return o, nil
}

// LastEntry is the range of the last entry.
var LastEntry = register.Range{From: Prefixed(Prefix).From, To: Prefixed(Prefix).To, Limit: 1, Reverse: true}

func (o *setID) Needs() register.Projection {
	return register.Projection{Ranges: []register.Range{LastEntry}}
}

func (o *setID) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() {
		return datatype.Reply(resp.ErrNoSuchKey)
	}
	m := MetaOf(v.Header)
	top, _ := v.Range(LastEntry)
	switch {
	case len(top) > 0 && o.id.Less(IDAtEnd(top[0].Key)):
		return datatype.Reply(errTopItem)
	case o.added >= 0 && m.Length > uint64(o.added):
		return datatype.Reply(errAddedLength)
	}
	was := m
	m.Last = o.id
	if o.added >= 0 {
		m.Added = uint64(o.added)
	}
	if !o.maxDeleted.Zero() {
		m.MaxDeleted = o.maxDeleted
	}
	if m == was {
		return datatype.Reply(resp.OK)
	}
	return Changes(v.Header, m.Header(v.Header), nil, resp.OK)
}
