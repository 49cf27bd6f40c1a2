package sorting

import (
	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/zset"
)

// source reads the items: all if they are to be sorted; otherwise only those
// within the limit, from the end for descending order.
type source struct {
	datatype.Reads
	unsorted, desc bool
	limit          limit
}

// Needs asks only for the header if it decides which part to read.
func (s *source) Needs() register.Projection {
	return register.Projection{All: !s.unsorted || (s.limit.offset <= 0 && s.limit.count < 0)}
}

// Execute implements operation.Operation.
func (s *source) Execute(v register.View, _ int64) operation.Effect {
	var r register.Range
	var item func(register.Element) []byte
	from, to, first := uint64(0), v.Header.Size, 0
	if s.unsorted {
		from, to = s.limit.of(to)
		r.Skip, r.Reverse = from, s.desc
	}
	switch v.Header.Type {
	case register.List:
		item = func(e register.Element) []byte { return e.Value }
	case register.SortedSet:
		ranked, _ := layout.Counted(v.Header.Type)
		r.From, r.To = ranked.From, ranked.To
		item = func(e register.Element) []byte { return zset.Ranking(e).Name }
	case register.Set:
		// Any order is valid. Skipping costs as much as reading.
		r.Skip, r.Reverse, from, first = 0, false, 0, int(from)
		item = func(e register.Element) []byte { return element.Member("", e.Key) }
	case register.Absent:
		return datatype.Reply(resp.List())
	default:
		return datatype.Reply(resp.ErrWrongType)
	}
	if from >= to {
		return datatype.Reply(resp.List())
	}
	r.Limit = int(to - from)
	elems, known := v.Range(r)
	if !known {
		return datatype.Need(register.Projection{Ranges: []register.Range{r}})
	}
	elems = elems[min(first, len(elems)):]
	out := make([]resp.Value, len(elems))
	for i, e := range elems {
		out[i] = *resp.Bytes(item(e))
	}
	return datatype.Reply(resp.List(out...))
}
