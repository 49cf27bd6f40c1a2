package stream

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream/entry"
)

// transfer is how XCLAIM and XAUTOCLAIM assign pending entries to a consumer.
type transfer struct {
	member
	minIdle int64
	justID  bool
}

// claimed is the reply for a claimed entry.
func (t *transfer) claimed(e register.Element) resp.Value {
	if t.justID {
		return *entry.IDReply(entry.IDAtEnd(e.Key))
	}
	return entry.Reply(e)
}

// idle reports whether an entry has been pending long enough.
func (t *transfer) idle(p *pending, now int64) bool {
	return t.minIdle <= 0 || now-p.time >= t.minIdle
}

// claim assigns the named pending entries to a consumer.
type claim struct {
	datatype.Writes
	transfer
	ids     []entry.ID
	idleFor *int64 // IDLE
	at      *int64 // TIME, unless IDLE follows
	retries int64  // -1: not given
	force   bool
	last    entry.ID
	err     *resp.Value // reported only if the group exists
}

// Claim parses XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms]
// [TIME unix-ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id].
func Claim(args [][]byte) (operation.Operation, *resp.Value) {
	o := &claim{transfer: transfer{member: member{args[1], args[2], args[3]}}, retries: -1}
	o.err = o.parse(args[4], args[5:])
	return o, nil
}

func (o *claim) parse(minIdle []byte, rest [][]byte) *resp.Value {
	var ok bool
	if o.minIdle, ok = number.ParseInt(minIdle); !ok {
		return resp.Err("ERR Invalid min-idle-time argument for XCLAIM")
	}
	for ; len(rest) > 0; rest = rest[1:] {
		id, err := entry.ParseID(rest[0], 0)
		if err != nil {
			break
		}
		o.ids = append(o.ids, id)
	}
	for len(rest) > 0 {
		switch {
		case datatype.Is(rest[0], "FORCE"):
			o.force = true
		case datatype.Is(rest[0], "JUSTID"):
			o.justID = true
		case len(rest) == 1:
			return errClaimOption(rest[0])
		default:
			if err := o.parseOption(rest[0], rest[1]); err != nil {
				return err
			}
			rest = rest[1:]
		}
		rest = rest[1:]
	}
	return nil
}

func errClaimOption(name []byte) *resp.Value {
	return resp.Errf("ERR Unrecognized XCLAIM option '%s'", name)
}

// parseOption parses an option that takes a value.
func (o *claim) parseOption(name, value []byte) (err *resp.Value) {
	integer := func(name string) int64 {
		n, ok := number.ParseInt(value)
		if !ok {
			err = resp.Err("ERR Invalid " + name + " option argument for XCLAIM")
		}
		return n
	}
	switch {
	case datatype.Is(name, "IDLE"):
		n := integer("IDLE")
		o.idleFor, o.at = &n, nil
	case datatype.Is(name, "TIME"):
		n := integer("TIME")
		o.idleFor, o.at = nil, &n
	case datatype.Is(name, "RETRYCOUNT"):
		o.retries = integer("RETRYCOUNT")
	case datatype.Is(name, "LASTID"):
		o.last, err = entry.ParseID(value, 0)
	default:
		err = errClaimOption(name)
	}
	return err
}

// delivered returns the delivery time given by the options.
func (o *claim) delivered(now int64) int64 {
	at := now
	switch {
	case o.idleFor != nil:
		at = now - *o.idleFor // wraps around as in Redis
	case o.at != nil:
		at = *o.at
	}
	if at < 0 || at > now {
		return now
	}
	return at
}

func (o *claim) Needs() register.Projection {
	p := register.Projection{Keys: make([][]byte, 2, 2+2*len(o.ids))}
	p.Keys[0], p.Keys[1] = groupKey(o.group), consumerKey(o.group, o.consumer)
	for _, id := range o.ids {
		p.Keys = append(p.Keys, entry.Key(id), pendingKey(o.group, id))
	}
	return p
}

func (o *claim) Execute(v register.View, now int64) operation.Effect {
	b, err := o.openGroup(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case o.err != nil:
		return datatype.Reply(o.err)
	}
	if b.group.last.Less(o.last) {
		b.group.last = o.last
	}
	replies := []resp.Value{}
	for _, id := range o.ids {
		key, n := entry.Key(id), b.note(id)
		value, exists := entry.Lookup(v, key, &b.need)
		if !exists {
			n.is = nil
			continue
		}
		var p pending
		switch {
		case n.is != nil:
			if p = *n.is; !o.idle(n.is, now) {
				continue
			}
		case o.force:
			p.count = 1
		default:
			continue
		}
		o.give(b, n, p, o.delivered(now), now)
		replies = append(replies, o.claimed(register.Element{Key: key, Value: value}))
	}
	return b.close(func() *resp.Value { return resp.List(replies...) })
}

// give assigns an entry to the consumer.
func (o *claim) give(b *books, n *note, p pending, delivered, now int64) {
	p.time = delivered
	switch {
	case o.retries >= 0:
		p.count = uint64(o.retries)
	case !o.justID:
		p.count++
	}
	o.transfer.give(b, n, p, now)
}

func (t *transfer) give(b *books, n *note, p pending, now int64) {
	a := b.seen(t.consumer, now)
	a.active = now
	p.consumer = t.consumer
	n.is = &p
}

// autoClaim assigns pending entries of an interval to a consumer.
type autoClaim struct {
	datatype.Writes
	transfer
	start entry.ID
	count int64
}

const attemptsFactor = 10 // how many entries XAUTOCLAIM looks at for each it may claim

var errCount = resp.Err("ERR COUNT must be > 0")

// AutoClaim parses XAUTOCLAIM key group consumer min-idle-time start [COUNT
// count] [JUSTID].
func AutoClaim(args [][]byte) (operation.Operation, *resp.Value) {
	o := &autoClaim{transfer: transfer{member: member{args[1], args[2], args[3]}}, count: 100}
	var ok bool
	if o.minIdle, ok = number.ParseInt(args[4]); !ok {
		return nil, resp.Err("ERR Invalid min-idle-time argument for XAUTOCLAIM")
	}
	var err *resp.Value
	if o.start, err = entry.ParseStart(args[5]); err != nil {
		return nil, err
	}
	for rest := args[6:]; len(rest) > 0; rest = rest[1:] {
		switch {
		case datatype.Is(rest[0], "COUNT") && len(rest) > 1:
			const most = math.MaxInt64 / 16 // as many IDs as Redis could keep
			if o.count, ok = number.ParseInt(rest[1]); !ok || o.count < 1 || o.count > most {
				return nil, errCount
			}
			rest = rest[1:]
		case datatype.Is(rest[0], "JUSTID"):
			o.justID = true
		default:
			return nil, resp.ErrSyntax
		}
	}
	return o, nil
}

// rows is the range of pending entries to look at first.
func (o *autoClaim) rows(limit int) register.Range {
	return entry.Between(inGroup('p', o.group, entry.IDBytes), o.start, entry.MaxID, limit)
}

func (o *autoClaim) Needs() register.Projection {
	return register.Projection{
		Keys:   [][]byte{groupKey(o.group), consumerKey(o.group, o.consumer)},
		Ranges: []register.Range{o.rows(entry.Limit(min(o.count, 100) + 1))},
	}
}

func (o *autoClaim) Execute(v register.View, now int64) operation.Effect {
	b, err := o.openGroup(v)
	if err != nil {
		return datatype.Reply(err)
	}
	// At first as many rows as suffice if all are claimed, then more each time.
	for size := entry.Limit(min(o.count, int64(b.was.pending)) + 1); ; size *= 2 {
		rows := entry.List(v, o.rows(size), &b.need)
		w := walk{autoClaim: o, books: b, now: now}
		rest := w.over(rows)
		if entry.Lacking(&b.need) {
			return datatype.Need(b.need)
		}
		cursor := entry.ID{}
		switch {
		case len(rest) > 0:
			cursor = entry.IDAtEnd(rest[0].Key)
		case len(rows) == size:
			b, _ = open(v, o.group)
			continue
		}
		return b.close(func() *resp.Value {
			return resp.List(*entry.IDReply(cursor), *resp.List(w.claimed...), *resp.List(w.deleted...))
		})
	}
}

// walk is a walk over pending entries.
type walk struct {
	*autoClaim
	books            *books
	now              int64
	claimed, deleted []resp.Value
}

// over claims the entries of the rows that qualify, and returns the rows not
// reached.
func (w *walk) over(rows []register.Element) []register.Element {
	left, attempts := w.count, w.count*attemptsFactor
	for ; len(rows) > 0 && left > 0 && attempts > 0; rows = rows[1:] {
		attempts--
		id := entry.IDAtEnd(rows[0].Key)
		n := w.books.note(id)
		if n.is == nil { // the row's entry is not pending
			continue
		}
		w.books.account(n.is.consumer)
		key := entry.Key(id)
		value, exists := entry.Lookup(w.books.v, key, &w.books.need)
		switch {
		case !exists:
			w.deleted = append(w.deleted, *entry.IDReply(id))
			n.is = nil
		case !w.idle(n.is, w.now):
			continue
		default:
			p := *n.is
			p.time = w.now
			if !w.justID {
				p.count++
			}
			w.give(w.books, n, p, w.now)
			w.claimed = append(w.claimed, w.autoClaim.claimed(register.Element{Key: key, Value: value}))
		}
		left--
	}
	return rows
}
