// Package sorting implements SORT and SORT_RO. They sort the items of a list,
// set or sorted set, by themselves or by values of other keys, and reply with
// the items or with values of other keys.
//
// A command reads in up to three steps of one snapshot: the items, the values
// to sort by, and the values for the reply. The last step reads only the values
// of the items within LIMIT.
package sorting

import (
	"bytes"
	"cmp"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var (
	errScores = resp.Err("ERR One or more scores can't be converted into double")
	errStore  = resp.Err("ERR SORT with STORE writes a second key, which takes a transaction; this version has none")
)

// query has the arguments of a command.
type query struct {
	by       pattern
	given    bool // whether by is given
	unsorted bool // the items keep their order
	get      []pattern
	reads    bool // any of get reads keys
	desc     bool
	alpha    bool
	limit    limit
}

// Sort parses SORT key [BY pattern] [LIMIT offset count] [GET pattern ...]
// [ASC|DESC] [ALPHA] [STORE destination].
func Sort(args [][]byte) (*datatype.Split, *resp.Value) { return parse(args, true) }

// SortRO parses SORT_RO, which is SORT without STORE.
func SortRO(args [][]byte) (*datatype.Split, *resp.Value) { return parse(args, false) }

func parse(args [][]byte, mayStore bool) (*datatype.Split, *resp.Value) {
	q := &query{limit: limit{count: -1}}
	stores := false
	for i := 2; i < len(args); i++ {
		more := args[i+1:]
		switch name := args[i]; {
		case datatype.Is(name, "ASC"):
			q.desc = false
		case datatype.Is(name, "DESC"):
			q.desc = true
		case datatype.Is(name, "ALPHA"):
			q.alpha = true
		case datatype.Is(name, "LIMIT") && len(more) >= 2:
			var err *resp.Value
			if q.limit, err = parseLimit(more); err != nil {
				return nil, err
			}
			i += 2
		case datatype.Is(name, "STORE") && mayStore && len(more) >= 1:
			stores = true
			i++
		case datatype.Is(name, "BY") && len(more) >= 1:
			q.by, q.given = parsePattern(more[0]), true
			q.unsorted = q.unsorted || !q.by.names // as in Redis, a later BY does not undo this
			i++
		case datatype.Is(name, "GET") && len(more) >= 1:
			p := parsePattern(more[0])
			q.get, q.reads = append(q.get, p), q.reads || p.names
			i++
		default:
			return nil, resp.ErrSyntax
		}
	}
	if stores {
		return nil, errStore
	}
	return &datatype.Split{
		Keys: args[1:2], Ops: []operation.Operation{&source{unsorted: q.unsorted, desc: q.desc, limit: q.limit}},
		Snapshot: true, Then: q.then, Combine: q.combine,
	}, nil
}

func parseLimit(args [][]byte) (limit, *resp.Value) {
	offset, ok1 := number.ParseInt(args[0])
	count, ok2 := number.ParseInt(args[1])
	if !ok1 || !ok2 {
		return limit{}, resp.ErrNotInteger
	}
	return limit{offset: offset, count: count}, nil
}

// limit selects a range of the sorted items. A negative count means all from
// the offset on.
type limit struct{ offset, count int64 }

// of returns the wanted range out of n items, excluding the end.
func (l limit) of(n uint64) (from, to uint64) {
	from = min(uint64(max(l.offset, 0)), n)
	if l.count < 0 {
		return from, n
	}
	return from, min(from+uint64(l.count), n)
}

// sortsBy reports whether the items are sorted by values of other keys.
func (q *query) sortsBy() bool { return q.given && !q.unsorted }

// then returns what to read after the items, and after the values to sort by.
func (q *query) then(results []*resp.Value) (keys [][]byte, ops []operation.Operation) {
	items := results[0].Elems
	sortedBy := 0
	if q.sortsBy() {
		sortedBy = len(items)
	}
	read := func(p *pattern, item []byte) {
		keys, ops = append(keys, p.key(item)), append(ops, p)
	}
	switch {
	case len(results) == 1 && sortedBy > 0:
		for i := range items {
			read(&q.by, items[i].Str)
		}
	case len(results) == 1+sortedBy && q.reads:
		chosen, _ := q.choose(results)
		for _, item := range chosen {
			for i := range q.get {
				if q.get[i].names {
					read(&q.get[i], item)
				}
			}
		}
	}
	return keys, ops
}

// combine builds the reply.
func (q *query) combine(results []*resp.Value) *resp.Value {
	chosen, err := q.choose(results)
	if err != nil {
		return err
	}
	values := results[1:] // of GET
	if q.sortsBy() {
		values = values[len(results[0].Elems):]
	}
	out := make([]resp.Value, 0, len(chosen)*max(1, len(q.get)))
	for _, item := range chosen {
		if len(q.get) == 0 {
			out = append(out, *resp.Bytes(item))
		}
		for i := range q.get {
			switch p := &q.get[i]; {
			case p.self:
				out = append(out, *resp.Bytes(item))
			case p.names:
				out = append(out, *values[0])
				values = values[1:]
			default:
				out = append(out, *resp.Nil)
			}
		}
	}
	return resp.List(out...)
}

// choose returns the items for the reply, in order.
func (q *query) choose(results []*resp.Value) ([][]byte, *resp.Value) {
	if results[0].IsError() {
		return nil, results[0]
	}
	weighed := make([]weight, len(results[0].Elems))
	for i := range weighed {
		weighed[i] = weight{item: results[0].Elems[i].Str, place: i}
	}
	if !q.unsorted {
		for i := range weighed {
			by := &results[0].Elems[i]
			if q.given {
				by = results[1+i]
			}
			if !weighed[i].set(by, q.alpha) {
				return nil, errScores
			}
		}
		slices.SortFunc(weighed, q.compare)
		from, to := q.limit.of(uint64(len(weighed)))
		weighed = weighed[from:to]
	}
	chosen := make([][]byte, len(weighed))
	for i := range weighed {
		chosen[i] = weighed[i].item
	}
	return chosen, nil
}

// weight is an item and its sort key.
type weight struct {
	item   []byte
	place  int // index before sorting
	score  float64
	text   []byte // up to its first zero byte, as the C library compares
	absent bool   // there is no value to sort by
}

// set takes the value to sort by, and reports whether it is usable.
func (w *weight) set(by *resp.Value, alpha bool) (ok bool) {
	by = by.Whole()
	switch {
	case by.Kind != resp.Bulk:
		w.absent = true
		return true
	case alpha:
		w.text = cString(by.Str)
		return true
	}
	w.score, ok = parseScore(by.Str)
	return ok
}

// smallestNormal is the least positive double that is not denormal.
const smallestNormal = 0x1p-1022

// parseScore reads a number like strtod: empty text is zero, leading white
// space is skipped, and numbers too small to be exact are errors.
func parseScore(b []byte) (float64, bool) {
	b = cString(b)
	if len(b) == 0 {
		return 0, true
	}
	f, ok := number.ParseDouble(bytes.TrimLeft(b, " \t\n\v\f\r"))
	return f, ok && (f == 0 || f >= smallestNormal || f <= -smallestNormal)
}

// compare orders the reply. Equal numbers are ordered by item; equal texts keep
// their order.
func (q *query) compare(a, b weight) int {
	var c int
	switch {
	case !q.alpha:
		c = cmp.Or(cmp.Compare(a.score, b.score), bytes.Compare(a.item, b.item))
	case a.absent != b.absent:
		c = 1
		if a.absent {
			c = -1
		}
	default:
		c = bytes.Compare(a.text, b.text)
	}
	if q.desc {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(a.place, b.place))
}

// cString returns b up to its first zero byte, as the C library sees it.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
