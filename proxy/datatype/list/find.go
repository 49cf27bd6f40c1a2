package list

import (
	"bytes"
	"math"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// rem removes items equal to a value. It must read the list to reply with their
// number.
type rem struct {
	datatype.Writes
	most uint64 // zero means all
	back bool   // from the tail
	item []byte
}

// LRem parses LREM key count element.
func LRem(args [][]byte) (operation.Operation, *resp.Value) {
	count, ok := number.ParseInt(args[2])
	if !ok {
		return nil, resp.ErrNotInteger
	}
	o := &rem{most: uint64(count), item: args[3]}
	if count < 0 {
		o.most, o.back = -o.most, true
	}
	return o, nil
}

func (*rem) Needs() register.Projection { return all }

func (o *rem) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	if err != nil {
		return datatype.Reply(err)
	}
	elems := v.Elements()
	most := uint64(len(elems))
	if o.most > 0 {
		most = min(most, o.most)
	}
	gone, kept := o.part(elems, most)
	reply := resp.Int(int64(len(gone)))
	switch {
	case len(gone) == 0:
		return datatype.Reply(reply)
	case len(kept) == 0:
		return datatype.Deletes(reply)
	}
	l.first, l.last = labelOf(kept[0].Key), labelOf(kept[len(kept)-1].Key)
	l.aligned = !slices.ContainsFunc(kept, func(e register.Element) bool { return (labelOf(e.Key)-l.first)%stride != 0 })
	l.header.Size = uint64(len(kept))
	return l.changes(v.Header, removals(make([]register.Op, 0, len(gone)), gone), reply)
}

// part divides elements into those to remove, up to a limit, and the others.
func (o *rem) part(elems []register.Element, most uint64) (gone, kept []register.Element) {
	first := 0 // elements before it are kept
	if o.back {
		matches := uint64(0)
		for first = len(elems); first > 0 && matches < most; first-- {
			if bytes.Equal(elems[first-1].Value, o.item) {
				matches++
			}
		}
	}
	for i, e := range elems {
		if i >= first && uint64(len(gone)) < most && bytes.Equal(e.Value, o.item) {
			gone = append(gone, e)
		} else {
			kept = append(kept, e)
		}
	}
	return gone, kept
}

// pos finds the positions of items equal to a value.
type pos struct {
	datatype.Reads
	item    []byte
	skip    uint64 // matches to skip
	back    bool   // from the tail
	count   uint64 // positions wanted; zero means all
	listed  bool   // the reply is an array
	longest uint64 // items to compare; zero means all
	// overflows: the rank is the smallest integer, which Redis negates to
	// itself. Redis then skips nothing and ignores the count.
	overflows bool
}

var (
	errRank   = resp.Err("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
	errCount  = resp.Err("ERR COUNT can't be negative")
	errMaxLen = resp.Err("ERR MAXLEN can't be negative")
)

// LPos parses LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len].
func LPos(args [][]byte) (operation.Operation, *resp.Value) {
	o := &pos{item: args[2], count: 1}
	for i := 3; i < len(args); i += 2 {
		if i+1 == len(args) {
			return nil, resp.ErrSyntax
		}
		var err *resp.Value
		switch name := args[i]; {
		case datatype.Is(name, "RANK"):
			err = o.parseRank(args[i+1])
		case datatype.Is(name, "COUNT"):
			o.listed = true
			o.count, err = parseLength(args[i+1], errCount)
		case datatype.Is(name, "MAXLEN"):
			o.longest, err = parseLength(args[i+1], errMaxLen)
		default:
			err = resp.ErrSyntax
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *pos) parseRank(arg []byte) *resp.Value {
	rank, ok := number.ParseInt(arg)
	switch {
	case !ok:
		return resp.ErrNotInteger
	case rank == 0:
		return errRank
	}
	o.back = rank < 0
	o.overflows = rank == math.MinInt64
	o.skip = uint64(max(rank, -rank, 1) - 1)
	return nil
}

func parseLength(arg []byte, negative *resp.Value) (uint64, *resp.Value) {
	n, ok := number.ParseInt(arg)
	switch {
	case !ok, n < 0:
		return 0, negative
	}
	return uint64(n), nil
}

func (o *pos) Needs() register.Projection {
	return register.Projection{Ranges: []register.Range{o.looked()}}
}

// looked is the range of items to compare.
func (o *pos) looked() register.Range {
	return register.Range{Limit: limited(o.longest), Reverse: o.back}
}

func (o *pos) Execute(v register.View, _ int64) operation.Effect {
	l, err := open(v)
	switch {
	case err != nil:
		return datatype.Reply(err)
	case l.size() == 0 && o.listed:
		return datatype.Reply(resp.List())
	case l.size() == 0:
		return datatype.Reply(resp.Nil)
	}
	elems, known := v.Range(o.looked())
	if !known {
		return datatype.Need(o.Needs())
	}
	var places []resp.Value
	skip := o.skip
	for i, e := range elems {
		switch {
		case !bytes.Equal(e.Value, o.item):
			continue
		case skip > 0:
			skip--
			continue
		}
		place := i
		if o.back {
			place = int(l.size()) - 1 - i
		}
		places = append(places, *resp.Int(int64(place)))
		if uint64(len(places)) == o.count && !(o.listed && o.overflows) {
			break
		}
	}
	switch {
	case o.listed:
		return datatype.Reply(resp.List(places...))
	case len(places) == 0:
		return datatype.Reply(resp.Nil)
	}
	return datatype.Reply(&places[0])
}
