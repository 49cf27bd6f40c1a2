package entry

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

var (
	errZeroID    = resp.Err("ERR The ID specified in XADD must be greater than 0-0")
	errOldID     = resp.Err("ERR The ID specified in XADD is equal or smaller than the target stream top item")
	errExhausted = resp.Err("ERR The stream has exhausted the last possible ID, unable to add more items")
	errTooLarge  = resp.Err("ERR Elements are too large to be stored")
)

// maxEntry is Redis's limit for the bytes of one entry.
const maxEntry = 1 << 30

// add appends an entry.
type add struct {
	datatype.Writes
	trimOptions
	mustExist bool
	id        ID
	autoID    bool // "*": the ID is generated
	autoSeq   bool // "ms-*": the sequence number is generated
	fields    [][]byte
	value     []byte
}

// Add parses XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]]
// *|id field value [field value ...].
func Add(args [][]byte) (operation.Operation, *resp.Value) {
	o := &add{}
	rest, err := o.parseOptions(args[2:])
	if err != nil {
		return nil, err
	}
	if len(rest) < 2 || len(rest)%2 == 1 {
		return nil, resp.ErrArity("xadd")
	}
	if !o.autoID && !o.autoSeq && o.id.Zero() {
		return nil, errZeroID
	}
	o.fields, o.value = rest, Value(rest)
	return o, nil
}

// parseOptions parses the options and the ID, and returns the fields.
func (o *add) parseOptions(args [][]byte) ([][]byte, *resp.Value) {
	for i := 0; i < len(args); {
		if datatype.Is(args[i], "*") {
			o.autoID = true
			return args[i+1:], o.finish(false)
		}
		n, err := o.parse(args[i:])
		switch {
		case err != nil:
			return nil, err
		case n > 0:
			i += n
		case datatype.Is(args[i], "NOMKSTREAM"):
			o.mustExist = true
			i++
		default:
			if o.id, o.autoSeq, err = parseOpenID(args[i], 0, true); err != nil {
				return nil, err
			}
			return args[i+1:], o.finish(false)
		}
	}
	return nil, o.finish(false)
}

func (o *add) Needs() register.Projection { return o.needs(0) }

// ahead is the number of later XADDs whose trimmed elements are fetched in
// advance.
const ahead = 8

// Prefetch is Needs plus the elements that later XADDs will trim
// (operation.Prefetcher).
func (o *add) Prefetch(waiting int) register.Projection { return o.needs(ahead + waiting) }

func (o *add) Execute(v register.View, now int64) operation.Effect {
	if err := Check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() && o.mustExist {
		return datatype.Reply(resp.Nil)
	}
	m := MetaOf(v.Header)
	id, err := o.newID(m.Last, now)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case textBytes(o.fields) > maxEntry:
		return datatype.Reply(errTooLarge)
	}
	m.Last = id
	m.Added++
	if m.Length++; m.Length == 1 {
		m.First = id
	}
	f := front{v: v, Meta: &m, closed: m.Extend(id, o.fields), fresh: Key(id)}
	if o.trim(&f); Lacking(&f.need) {
		return datatype.Need(f.need)
	}
	if f.closed != nil {
		f.ops = append(f.ops, f.closed.Op())
	}
	if f.fresh != nil {
		f.ops = append(f.ops, Put(f.fresh, o.value))
	}
	return Changes(v.Header, m.Header(v.Header), f.ops, IDReply(id))
}

// newID returns the new entry's ID, given the last one.
func (o *add) newID(last ID, now int64) (ID, *resp.Value) {
	id := o.id
	switch {
	case last == MaxID:
		return id, errExhausted
	case o.autoID && uint64(now) > last.MS:
		return ID{uint64(now), 0}, nil
	case o.autoID:
		return last.Next(), nil
	case o.autoSeq && id.MS == last.MS:
		if last.Seq == math.MaxUint64 {
			return id, errOldID
		}
		return last.Next(), nil
	}
	if !last.Less(id) {
		return id, errOldID
	}
	return id, nil
}
