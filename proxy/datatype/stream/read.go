package stream

import (
	"math"
	"time"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream/entry"
)

var (
	errTimeout       = resp.Err("ERR timeout is not an integer or out of range")
	errNegative      = resp.Err("ERR timeout is negative")
	errFarTimeout    = resp.Err("ERR timeout is out of range")
	errBlocking      = resp.Err("ERR BLOCK is not supported by this version: there is nothing to read now")
	errGroupOption   = resp.Err("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
	errNoAckOption   = resp.Err("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
	errUnbalanced    = resp.Err("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")
	errOnlyGroup     = resp.Err("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
	errMissingGroup  = resp.Err("ERR Missing GROUP option for XREADGROUP")
	errDollar        = resp.Err("ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.")
	errSeveralGroups = resp.Err("ERR XREADGROUP of several streams needs a transaction, which this version does not have: read them one by one")
)

// reading has the arguments of XREAD or XREADGROUP.
type reading struct {
	byGroup         bool // XREADGROUP
	group, consumer []byte
	noAck           bool
	block           bool
	count           int // 0: all
	keys, ids       [][]byte
}

// parse parses the arguments after the command name.
func (o *reading) parse(args [][]byte) *resp.Value {
	for len(args) > 0 && o.keys == nil {
		n, err := o.parseOption(args)
		if err != nil {
			return err
		}
		args = args[n:]
	}
	switch {
	case o.keys == nil:
		return resp.ErrSyntax
	case o.byGroup && o.group == nil:
		return errMissingGroup
	}
	return nil
}

// parseOption parses the first option of args and returns the number of
// arguments used.
func (o *reading) parseOption(args [][]byte) (int, *resp.Value) {
	more := len(args) - 1
	switch {
	case datatype.Is(args[0], "BLOCK") && more > 0:
		o.block = true
		return 2, checkTimeout(args[1])
	case datatype.Is(args[0], "COUNT") && more > 0:
		n, ok := number.ParseInt(args[1])
		if !ok {
			return 0, resp.ErrNotInteger
		}
		o.count = entry.Limit(n)
		return 2, nil
	case datatype.Is(args[0], "STREAMS") && more > 0:
		if more%2 == 1 {
			return 0, errUnbalanced
		}
		o.keys, o.ids = args[1:1+more/2], args[1+more/2:]
		return len(args), nil
	case datatype.Is(args[0], "GROUP") && more > 1:
		if !o.byGroup {
			return 0, errGroupOption
		}
		o.group, o.consumer = args[1], args[2]
		return 3, nil
	case datatype.Is(args[0], "NOACK"):
		if !o.byGroup {
			return 0, errNoAckOption
		}
		o.noAck = true
		return 1, nil
	}
	return 0, resp.ErrSyntax
}

// checkTimeout validates the argument of BLOCK.
func checkTimeout(arg []byte) *resp.Value {
	ms, ok := number.ParseInt(arg)
	switch {
	case !ok:
		return errTimeout
	case ms < 0:
		return errNegative
	case ms > math.MaxInt64-latest:
		return errFarTimeout
	}
	return nil
}

// latest is a time in Unix milliseconds to which a timeout can be added safely.
const latest = int64(200*365*24*time.Hour) / int64(time.Millisecond)

// after lists the entries of one stream after an ID. The result is NilArray if
// there are none.
type after struct {
	datatype.Reads
	id    entry.ID
	last  bool // "$": after the last entry ever added
	count int
	err   *resp.Value // error in the ID, reported only if no earlier stream has a wrong type
}

// ReadStreams parses XREAD [COUNT count] [BLOCK ms] STREAMS key [key ...] id
// [id ...].
func ReadStreams(args [][]byte) (*datatype.Split, *resp.Value) {
	var o reading
	if err := o.parse(args[1:]); err != nil {
		return nil, err
	}
	s := &datatype.Split{Keys: o.keys, Ops: make([]operation.Operation, len(o.keys)), Snapshot: true}
	for i, id := range o.ids {
		r := &after{count: o.count}
		switch {
		case datatype.Is(id, "$"):
			r.last = true
		case datatype.Is(id, ">"):
			r.err = errOnlyGroup
		default:
			r.id, r.err = entry.ParseID(id, 0)
		}
		s.Ops[i] = r
	}
	s.Combine = o.combine
	return s, nil
}

// combine lists the streams that have new entries.
func (o *reading) combine(results []*resp.Value) *resp.Value {
	table := &resp.Value{Kind: resp.Table}
	for i, r := range results {
		switch r.Kind {
		case resp.Failure:
			return r
		case resp.Array:
			table.Elems = append(table.Elems, *resp.Bytes(o.keys[i]), *r)
		}
	}
	switch {
	case len(table.Elems) > 0:
		return table
	case o.block:
		return errBlocking
	}
	return resp.NilArray
}

func (o *after) Needs() register.Projection {
	if o.err != nil || o.last || o.id == entry.MaxID {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{entry.Range(o.id.Next(), entry.MaxID, o.count)}}
}

func (o *after) Execute(v register.View, _ int64) operation.Effect {
	if err := entry.Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	switch {
	case o.err != nil:
		return datatype.Reply(o.err)
	case o.last || o.id == entry.MaxID:
		return datatype.Reply(resp.NilArray)
	}
	elems, _ := v.Range(o.Needs().Ranges[0])
	if len(elems) == 0 {
		return datatype.Reply(resp.NilArray)
	}
	return datatype.Reply(entry.Replies(elems))
}

// readGroup delivers entries of one stream to a consumer.
type readGroup struct {
	datatype.Writes
	member
	count int
	noAck bool
	fresh bool     // ">": entries that the group has not seen
	id    entry.ID // otherwise, the consumer's pending entries after this ID
	err   *resp.Value
}

// ReadGroup parses XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms]
// [NOACK] STREAMS key id|>.
func ReadGroup(args [][]byte) (*datatype.Split, *resp.Value) {
	o := reading{byGroup: true}
	if err := o.parse(args[1:]); err != nil {
		return nil, err
	}
	if len(o.keys) > 1 {
		return nil, errSeveralGroups
	}
	r := &readGroup{member: member{o.keys[0], o.group, o.consumer}, count: o.count, noAck: o.noAck}
	switch id := o.ids[0]; {
	case datatype.Is(id, "$"):
		r.err = errDollar
	case datatype.Is(id, ">"):
		r.fresh = true
	default:
		r.id, r.err = entry.ParseID(id, 0)
		r.fresh = r.id == entry.MaxID // as in Redis
	}
	return &datatype.Split{Keys: o.keys, Ops: []operation.Operation{r}, Combine: o.combine}, nil
}

func (o *readGroup) Needs() register.Projection {
	p := o.records()
	if !o.fresh && o.err == nil {
		p.Ranges = []register.Range{o.index()}
	}
	return p
}

// index is the range of the consumer's pending entries.
func (o *readGroup) index() register.Range {
	return entry.Between(ofConsumer(o.group, o.consumer), o.id.Next(), entry.MaxID, o.count)
}

func (o *readGroup) Execute(v register.View, now int64) operation.Effect {
	if err := entry.Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	b, ok := open(v, o.group)
	switch {
	case !ok:
		return datatype.Reply(resp.Errf("NOGROUP No such key '%s' or consumer group '%s' in XREADGROUP with GROUP option", o.key, o.group))
	case o.err != nil:
		return datatype.Reply(o.err)
	case o.fresh:
		return o.deliver(b, now)
	}
	return o.repeat(b, now)
}

// deliver delivers entries that are new to the group.
func (o *readGroup) deliver(b *books, now int64) operation.Effect {
	if b.group.last == entry.MaxID {
		return datatype.Reply(resp.NilArray)
	}
	from := b.group.last.Next()
	elems := entry.List(b.v, entry.Range(from, entry.MaxID, o.count), &b.need)
	if !o.noAck {
		// None of them is pending, unless the group's position was moved back.
		entry.List(b.v, entry.Between(inGroup('p', o.group, entry.IDBytes), from, entry.MaxID, 1), &b.need)
	}
	switch {
	case entry.Lacking(&b.need):
		return datatype.Need(b.need)
	case len(elems) == 0:
		return datatype.Reply(resp.NilArray)
	}
	m := entry.MetaOf(b.v.Header)
	a := b.seen(o.consumer, now)
	for _, e := range elems {
		id := entry.IDAtEnd(e.Key)
		b.group.deliver(&m, id)
		if !o.noAck {
			a.active = now
			b.note(id).is = &pending{time: now, count: 1, consumer: o.consumer}
		}
	}
	return b.close(func() *resp.Value { return entry.Replies(elems) })
}

// repeat lists the consumer's pending entries and increments their delivery
// counts. For deleted entries, only the ID is listed.
func (o *readGroup) repeat(b *books, now int64) operation.Effect {
	b.seen(o.consumer, now)
	rows := entry.List(b.v, o.index(), &b.need)
	replies := make([]resp.Value, 0, len(rows))
	for _, row := range rows {
		id := entry.IDAtEnd(row.Key)
		key, n := entry.Key(id), b.note(id)
		value, exists := entry.Lookup(b.v, key, &b.need)
		switch {
		case exists && n.is != nil:
			n.is = &pending{time: now, count: n.is.count + 1, consumer: n.is.consumer}
			replies = append(replies, entry.Reply(register.Element{Key: key, Value: value}))
		default:
			replies = append(replies, *resp.List(*entry.IDReply(id), *resp.NilArray))
		}
	}
	return b.close(func() *resp.Value { return resp.List(replies...) })
}
