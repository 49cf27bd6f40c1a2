package stream

import (
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream/entry"
)

// ListPending parses XPENDING key group [[IDLE ms] start end count [consumer]].
func ListPending(args [][]byte) (operation.Operation, *resp.Value) {
	m := member{key: args[1], group: args[2]}
	switch {
	case len(args) == 3:
		return &summary{member: m}, nil
	case len(args) < 6 || len(args) > 9:
		return nil, resp.ErrSyntax
	}
	o := &listPending{member: m}
	if err := o.parse(args[3:]); err != nil {
		return nil, err
	}
	return o, nil
}

// summary counts the pending entries of each consumer.
type summary struct {
	datatype.Reads
	member
}

func (o *summary) Needs() register.Projection {
	first := entry.FirstOf(inGroup('p', o.group, 0), 1)
	last := first
	last.Reverse = true
	return register.Projection{
		Keys:   [][]byte{groupKey(o.group)},
		Ranges: []register.Range{first, last, entry.Prefixed(inGroup('c', o.group, 0))},
	}
}

func (o *summary) Execute(v register.View, _ int64) operation.Effect {
	b, err := o.openGroup(v)
	if err != nil {
		return datatype.Reply(err)
	}
	ranges := o.Needs().Ranges
	first, _ := v.Range(ranges[0])
	last, _ := v.Range(ranges[1])
	consumers, _ := v.Range(ranges[2])
	if len(first) == 0 {
		return datatype.Reply(resp.List(*resp.Int(0), *resp.Nil, *resp.Nil, *resp.NilArray))
	}
	var busy []resp.Value
	for _, e := range consumers {
		if n := consumerOf(e.Value).pending; n > 0 {
			name := resp.Bytes(nameOfConsumer(o.group, e.Key))
			busy = append(busy, *resp.List(*name, *resp.Text(strconv.FormatUint(n, 10))))
		}
	}
	return datatype.Reply(resp.List(*resp.Int(int64(b.group.pending)),
		*entry.IDReply(entry.IDAtEnd(first[0].Key)), *entry.IDReply(entry.IDAtEnd(last[0].Key)), *resp.List(busy...)))
}

// listPending lists pending entries of an interval.
type listPending struct {
	datatype.Reads
	member   // a nil consumer means any
	minIdle  int64
	from, to entry.ID
	count    int
}

func (o *listPending) parse(args [][]byte) *resp.Value {
	var ok bool
	if datatype.Is(args[0], "IDLE") {
		if o.minIdle, ok = number.ParseInt(args[1]); !ok {
			return resp.ErrNotInteger
		}
		if len(args) < 5 {
			return resp.ErrSyntax
		}
		args = args[2:]
	}
	count, ok := number.ParseInt(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	o.count = entry.Limit(count)
	var err *resp.Value
	if o.from, o.to, err = entry.ParseInterval(args[0], args[1]); err != nil {
		return err
	}
	if len(args) > 3 {
		o.consumer = args[3]
	}
	return nil
}

// rows is the range of pending entries, of one consumer or of all.
func (o *listPending) rows(limit int) register.Range {
	if o.consumer != nil {
		return entry.Between(ofConsumer(o.group, o.consumer), o.from, o.to, limit)
	}
	return entry.Between(inGroup('p', o.group, entry.IDBytes), o.from, o.to, limit)
}

func (o *listPending) Needs() register.Projection {
	p := register.Projection{Keys: [][]byte{groupKey(o.group)}}
	if o.count > 0 {
		p.Ranges = []register.Range{o.rows(o.count)}
	}
	return p
}

func (o *listPending) Execute(v register.View, now int64) operation.Effect {
	b, err := o.openGroup(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case o.count == 0:
		return datatype.Reply(resp.List())
	}
	// With IDLE, finding count entries may take more rows.
	for size := o.count; ; size *= 2 {
		rows := entry.List(v, o.rows(size), &b.need)
		var replies []resp.Value
		for _, row := range rows {
			p := b.pendingAt(row)
			if len(replies) < o.count && (o.minIdle == 0 || now-p.time >= o.minIdle) {
				replies = append(replies, *resp.List(*entry.IDReply(entry.IDAtEnd(row.Key)), *resp.Bytes(p.consumer),
					*resp.Int(max(now-p.time, 0)), *resp.Int(int64(p.count))))
			}
		}
		switch {
		case entry.Lacking(&b.need):
			return datatype.Need(b.need)
		case len(replies) == o.count || len(rows) < size:
			return datatype.Reply(resp.List(replies...))
		}
	}
}

// pendingAt returns the entry and consumer of a row, which may come from the
// group's or a consumer's pending entries.
func (b *books) pendingAt(row register.Element) pending {
	if row.Key[0] == 'p' {
		return pendingOf(row.Value)
	}
	if n := b.note(entry.IDAtEnd(row.Key)); n.is != nil {
		return *n.is
	}
	return pending{}
}
