package set

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

// Commands on several sets read in one snapshot. They first read the sizes,
// then all of the sets that are small enough or must be complete. From the
// other sets they read only members that can be in the result.

const (
	// small is the size up to which a set is read at once: such a small state
	// comes with the header.
	small = 128
	// similar is up to how many times larger than the smallest set a set may be
	// and still be read whole.
	similar = 4
	// maxAsked is the maximum number of members to ask for by name; above it,
	// the whole set is read.
	maxAsked = 1 << 16
)

// survey replies with the members of a small set as an Array, otherwise with
// the number of members as an Integer.
type survey struct{ datatype.Reads }

func (survey) Needs() register.Projection { return register.Projection{} }

func (survey) Execute(v register.View, _ int64) operation.Effect {
	switch err := element.Check(v.Header, register.Set); {
	case err != nil:
		return datatype.Reply(err)
	case v.Header.Size > small:
		return datatype.Reply(resp.Int(int64(v.Header.Size)))
	}
	elems, known := v.Range(register.Range{})
	if !known {
		return datatype.Need(register.Projection{All: true})
	}
	return datatype.Reply(array(elems))
}

// content replies with all members of a set.
var content, _ = element.ParseWhole(register.Set, array)

// array replies with the members unchanged.
func array(elems []register.Element) *resp.Value {
	return resp.List(element.Bulks(element.Members("", elems))...)
}

// among replies which of the given members a set has.
func among(members [][]byte) operation.Operation {
	o, _ := element.ParseLookup(register.Set, "", members, func(v register.View, keys [][]byte) *resp.Value {
		var found [][]byte
		for i, key := range keys {
			if _, exists := v.Get(key); exists {
				found = append(found, members[i])
			}
		}
		return resp.List(element.Bulks(found)...)
	})
	return o
}

// algebra is a command on several sets.
type algebra struct {
	keys [][]byte
	// base returns, given the sizes, which set contains the result, and up to
	// which size sets are read whole, including that one. A union has no such
	// limit.
	base func(sizes []uint64) (index int, most uint64)
	// apply computes the result from the base and the others.
	apply func(base [][]byte, others ...[][]byte) [][]byte
	reply func(members [][]byte) *resp.Value
}

func (a *algebra) split() *datatype.Split {
	ops := make([]operation.Operation, len(a.keys))
	for i := range ops {
		ops[i] = survey{}
	}
	return &datatype.Split{Keys: a.keys, Ops: ops, Snapshot: true, Then: a.then, Combine: a.combine}
}

// operands are the known parts of the sets.
type operands struct {
	base  int
	lists [][][]byte
	large []int // others to read whole; their lists are still nil
	rest  []int // others to ask for members that may be in the result
}

// surveyed decides how much to read of each set.
func (a *algebra) surveyed(results []*resp.Value) (o operands, failure *resp.Value) {
	sizes := make([]uint64, len(results))
	o.lists = make([][][]byte, len(results))
	for i, r := range results {
		switch r.Kind {
		case resp.Failure:
			return o, r
		case resp.Integer:
			sizes[i] = uint64(r.Int)
		default:
			sizes[i], o.lists[i] = uint64(len(r.Elems)), members(r)
		}
	}
	var most uint64
	o.base, most = a.base(sizes)
	for i, r := range results {
		switch {
		case r.Kind != resp.Integer:
		case sizes[i] <= most:
			o.large = append(o.large, i)
		default:
			o.rest = append(o.rest, i)
		}
	}
	return o, nil
}

func members(r *resp.Value) [][]byte {
	list := make([][]byte, len(r.Elems))
	for i := range list {
		list[i] = r.Elems[i].Str
	}
	return list
}

// fill adds the results of reading sets.
func (o *operands) fill(which []int, results []*resp.Value) {
	for i, r := range results {
		o.lists[which[i]] = members(r)
	}
}

// result computes the result from the sets read.
func (a *algebra) result(o *operands) [][]byte {
	var others [][][]byte
	for i, list := range o.lists {
		if i != o.base && list != nil {
			others = append(others, list)
		}
	}
	return a.apply(o.lists[o.base], others...)
}

func (a *algebra) then(results []*resp.Value) (keys [][]byte, ops []operation.Operation) {
	n := len(a.keys)
	o, failure := a.surveyed(results[:n])
	if failure != nil {
		return nil, nil
	}
	later := results[n:]
	if len(o.large) > 0 && len(later) == 0 {
		return a.read(o.large, content)
	}
	if len(o.rest) == 0 || len(later) > len(o.large) {
		return nil, nil
	}
	o.fill(o.large, later)
	switch candidates := a.result(&o); {
	case len(candidates) == 0:
		return nil, nil
	case len(candidates) > maxAsked:
		return a.read(o.rest, content)
	default:
		return a.read(o.rest, among(candidates))
	}
}

// read runs an operation on some of the sets.
func (a *algebra) read(which []int, op operation.Operation) (keys [][]byte, ops []operation.Operation) {
	for _, i := range which {
		keys, ops = append(keys, a.keys[i]), append(ops, op)
	}
	return keys, ops
}

func (a *algebra) combine(results []*resp.Value) *resp.Value {
	n := len(a.keys)
	o, failure := a.surveyed(results[:n])
	if failure != nil {
		return failure
	}
	later := results[n:]
	o.fill(o.large, later[:len(o.large)])
	o.fill(o.rest, later[len(o.large):])
	return a.reply(a.result(&o))
}

// UnionOf parses SUNION key [key ...].
func UnionOf(args [][]byte) (*datatype.Split, *resp.Value) {
	return (&algebra{keys: args[1:], apply: Union, reply: listed, base: func([]uint64) (int, uint64) {
		return 0, math.MaxUint64
	}}).split(), nil
}

// InterOf parses SINTER key [key ...].
func InterOf(args [][]byte) (*datatype.Split, *resp.Value) {
	return intersection(args[1:], listed), nil
}

func intersection(keys [][]byte, reply func([][]byte) *resp.Value) *datatype.Split {
	return (&algebra{keys: keys, apply: Intersection, reply: reply, base: func(sizes []uint64) (int, uint64) {
		smallest := 0
		for i, size := range sizes {
			if size < sizes[smallest] {
				smallest = i
			}
		}
		return smallest, similar * sizes[smallest]
	}}).split()
}

// DiffOf parses SDIFF key [key ...].
func DiffOf(args [][]byte) (*datatype.Split, *resp.Value) {
	return (&algebra{keys: args[1:], apply: Difference, reply: listed, base: func(sizes []uint64) (int, uint64) {
		return 0, similar * sizes[0]
	}}).split(), nil
}

var (
	errNumKeys  = resp.Err("ERR numkeys should be greater than 0")
	errManyKeys = resp.Err("ERR Number of keys can't be greater than number of args")
	errLimit    = resp.Err("ERR LIMIT can't be negative")
)

// InterCard parses SINTERCARD numkeys key [key ...] [LIMIT limit].
func InterCard(args [][]byte) (*datatype.Split, *resp.Value) {
	n, ok := number.ParseInt(args[1])
	switch {
	case !ok || n < 1:
		return nil, errNumKeys
	case n > int64(len(args)-2):
		return nil, errManyKeys
	}
	limit := int64(0)
	for rest := args[2+n:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 || !datatype.Is(rest[0], "LIMIT") {
			return nil, resp.ErrSyntax
		}
		if limit, ok = number.ParseInt(rest[1]); !ok || limit < 0 {
			return nil, errLimit
		}
	}
	return intersection(args[2:2+n], func(members [][]byte) *resp.Value {
		count := int64(len(members))
		if limit > 0 {
			count = min(count, limit)
		}
		return resp.Int(count)
	}), nil
}
