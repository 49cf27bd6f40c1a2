package stream

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream/entry"
)

var (
	errNoStream    = resp.Err("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.")
	errBusyGroup   = resp.Err("BUSYGROUP Consumer Group name already exists")
	errEntriesRead = resp.Err("ERR value for ENTRIESREAD must be positive or -1")
)

// errGroupOf is the error if a stream has no such group.
func (m *member) errGroupOf() *resp.Value {
	return resp.Errf("NOGROUP No such consumer group '%s' for key name '%s'", m.group, m.key)
}

// position is how far a group has read.
type position struct {
	member
	id      entry.ID
	atEnd   bool // "$", instead of id
	read    int64
	lateErr *resp.Value // error in the ID, reported only if the stream (and group) exists
}

// options parses the arguments after the ID of CREATE and SETID.
func (p *position) options(args [][]byte, create bool) (mkStream bool, err *resp.Value) {
	p.member = member{key: args[2], group: args[3]}
	p.read = entry.Unread
	for rest := args[5:]; len(rest) > 0; rest = rest[1:] {
		switch {
		case create && datatype.Is(rest[0], "MKSTREAM"):
			mkStream = true
		case datatype.Is(rest[0], "ENTRIESREAD") && len(rest) > 1:
			n, ok := number.ParseInt(rest[1])
			switch {
			case !ok:
				return false, resp.ErrNotInteger
			case n < entry.Unread:
				return false, errEntriesRead
			}
			p.read = n
			rest = rest[1:]
		default:
			return false, resp.ErrSubcommand(args[1], "XGROUP")
		}
	}
	return mkStream, nil
}

func (p *position) Needs() register.Projection {
	return register.Projection{Keys: [][]byte{groupKey(p.group)}}
}

// in resolves the ID in a stream.
func (p *position) in(m *entry.Meta) entry.ID {
	if p.atEnd {
		return m.Last
	}
	return p.id
}

// createGroup makes a consumer group.
type createGroup struct {
	datatype.Writes
	position
	mkStream bool
}

// CreateGroup parses XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD
// entries].
func CreateGroup(args [][]byte) (operation.Operation, *resp.Value) {
	const most = 8
	o := &createGroup{}
	var err *resp.Value
	if o.mkStream, err = o.options(args, true); err != nil {
		return nil, err
	}
	switch {
	case len(args) > most:
		o.lateErr = resp.ErrSubcommand(args[1], "XGROUP")
	case datatype.Is(args[4], "$"):
		o.atEnd = true
	default:
		o.id, o.lateErr = entry.ParseID(args[4], 0)
	}
	return o, nil
}

func (o *createGroup) Execute(v register.View, _ int64) operation.Effect {
	if err := entry.Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	_, taken := v.Get(groupKey(o.group))
	switch {
	case !v.Header.Exists() && !o.mkStream:
		return datatype.Reply(errNoStream)
	case o.lateErr != nil:
		return datatype.Reply(o.lateErr)
	case taken:
		return datatype.Reply(errBusyGroup)
	}
	m := entry.MetaOf(v.Header)
	m.Groups++
	g := group{last: o.in(&m), read: o.read}
	return entry.Changes(v.Header, m.Header(v.Header), []register.Op{g.op(o.group)}, resp.OK)
}

// setGroupID sets the position of a group.
type setGroupID struct {
	datatype.Writes
	position
}

// SetGroupID parses XGROUP SETID key group id|$ [ENTRIESREAD entries].
func SetGroupID(args [][]byte) (operation.Operation, *resp.Value) {
	o := &setGroupID{}
	if _, err := o.options(args, false); err != nil {
		return nil, err
	}
	switch {
	case len(args) != 5 && len(args) != 7:
		o.lateErr = resp.ErrSubcommand(args[1], "XGROUP")
	case datatype.Is(args[4], "$"):
		o.atEnd = true
	default:
		o.id, o.lateErr = entry.ParseAnyID(args[4], 0)
	}
	return o, nil
}

func (o *setGroupID) Execute(v register.View, _ int64) operation.Effect {
	b, err := o.openToManage(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case o.lateErr != nil:
		return datatype.Reply(o.lateErr)
	}
	m := entry.MetaOf(v.Header)
	b.group.last, b.group.read = o.in(&m), o.read
	return b.close(func() *resp.Value { return resp.OK })
}

// openToManage opens the books of a group for an XGROUP subcommand that
// requires the group to exist.
func (m *member) openToManage(v register.View) (*books, *resp.Value) {
	if err := entry.Check(v.Header); err != nil {
		return nil, err
	}
	if !v.Header.Exists() {
		return nil, errNoStream
	}
	b, ok := open(v, m.group)
	if !ok {
		return nil, m.errGroupOf()
	}
	return b, nil
}

// destroyGroup removes a group with its consumers and pending entries.
type destroyGroup struct {
	datatype.Writes
	group []byte
}

// DestroyGroup parses XGROUP DESTROY key group.
func DestroyGroup(args [][]byte) (operation.Operation, *resp.Value) {
	return &destroyGroup{group: args[3]}, nil
}

func (o *destroyGroup) Needs() register.Projection {
	p := register.Projection{Keys: [][]byte{groupKey(o.group)}}
	for _, kind := range []byte{'c', 'p', 'q'} {
		p.Ranges = append(p.Ranges, entry.Prefixed(inGroup(kind, o.group, 0)))
	}
	return p
}

func (o *destroyGroup) Execute(v register.View, _ int64) operation.Effect {
	if err := entry.Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() {
		return datatype.Reply(errNoStream)
	}
	key := groupKey(o.group)
	if _, ok := v.Get(key); !ok {
		return datatype.Reply(resp.Int(0))
	}
	ops := []register.Op{entry.Remove(key)}
	for _, r := range o.Needs().Ranges {
		elems, _ := v.Range(r)
		for _, e := range elems {
			ops = append(ops, entry.Remove(e.Key))
		}
	}
	m := entry.MetaOf(v.Header)
	m.Groups--
	return entry.Changes(v.Header, m.Header(v.Header), ops, resp.Int(1))
}

// createConsumer makes a consumer.
type createConsumer struct {
	datatype.Writes
	member
}

// CreateConsumer parses XGROUP CREATECONSUMER key group consumer.
func CreateConsumer(args [][]byte) (operation.Operation, *resp.Value) {
	return &createConsumer{member: member{args[2], args[3], args[4]}}, nil
}

func (o *createConsumer) Needs() register.Projection { return o.records() }

// records asks for the records of the group and the consumer.
func (m *member) records() register.Projection {
	return register.Projection{Keys: [][]byte{groupKey(m.group), consumerKey(m.group, m.consumer)}}
}

func (o *createConsumer) Execute(v register.View, now int64) operation.Effect {
	b, err := o.openToManage(v)
	if err != nil {
		return datatype.Reply(err)
	}
	created := int64(0)
	if !b.account(o.consumer).exists {
		b.seen(o.consumer, now)
		created = 1
	}
	return b.close(func() *resp.Value { return resp.Int(created) })
}

// deleteConsumer removes a consumer and its pending entries.
type deleteConsumer struct {
	datatype.Writes
	member
}

// DeleteConsumer parses XGROUP DELCONSUMER key group consumer.
func DeleteConsumer(args [][]byte) (operation.Operation, *resp.Value) {
	return &deleteConsumer{member: member{args[2], args[3], args[4]}}, nil
}

func (o *deleteConsumer) Needs() register.Projection {
	p := o.records()
	p.Ranges = []register.Range{entry.Prefixed(ofConsumer(o.group, o.consumer))}
	return p
}

func (o *deleteConsumer) Execute(v register.View, _ int64) operation.Effect {
	b, err := o.openToManage(v)
	if err != nil {
		return datatype.Reply(err)
	}
	a := b.account(o.consumer)
	if !a.exists {
		return datatype.Reply(resp.Int(0))
	}
	ops := []register.Op{entry.Remove(consumerKey(o.group, o.consumer))}
	each(v, ofConsumer(o.group, o.consumer), func(e register.Element) {
		ops = append(ops, entry.Remove(e.Key), entry.Remove(pendingKey(o.group, entry.IDAtEnd(e.Key))))
	})
	b.group.consumers--
	b.group.pending -= a.pending
	ops = append(ops, b.group.op(o.group))
	return entry.Changes(v.Header, v.Header, ops, resp.Int(int64(a.pending)))
}
