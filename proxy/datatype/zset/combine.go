package zset

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var (
	errWeight = resp.Err("ERR weight value is not a float")
	errLimit  = resp.Err("ERR LIMIT can't be negative")
)

// combination is ZUNION, ZINTER, ZDIFF or ZINTERCARD.
type combination struct {
	kind       combinationKind
	keys       [][]byte
	weights    []float64
	aggregate  Aggregate
	withScores bool
	limit      int64       // of ZINTERCARD; zero means none
	late       *resp.Value // error in the options, reported only after the type check
}

type combinationKind uint8

const (
	union combinationKind = iota
	inter
	diff
	interCard
)

// ZUnion parses ZUNION numkeys key [key …] [WEIGHTS weight …] [AGGREGATE
// SUM|MIN|MAX] [WITHSCORES].
func ZUnion(args [][]byte) (*datatype.Split, *resp.Value) { return combine(args, "zunion", union) }

// ZInter parses ZINTER, whose arguments are those of ZUNION.
func ZInter(args [][]byte) (*datatype.Split, *resp.Value) { return combine(args, "zinter", inter) }

// ZDiff parses ZDIFF numkeys key [key …] [WITHSCORES].
func ZDiff(args [][]byte) (*datatype.Split, *resp.Value) { return combine(args, "zdiff", diff) }

// ZInterCard parses ZINTERCARD numkeys key [key …] [LIMIT limit].
func ZInterCard(args [][]byte) (*datatype.Split, *resp.Value) {
	return combine(args, "zintercard", interCard)
}

func combine(args [][]byte, name string, kind combinationKind) (*datatype.Split, *resp.Value) {
	n, ok := number.ParseInt(args[1])
	switch {
	case !ok:
		return nil, resp.ErrNotInteger
	case n < 1:
		return nil, resp.Err("ERR at least 1 input key is needed for '" + name + "' command")
	case n > int64(len(args)-2):
		return nil, resp.ErrSyntax
	}
	c := &combination{kind: kind, keys: args[2 : 2+n], aggregate: Sum, weights: make([]float64, n)}
	for i := range c.weights {
		c.weights[i] = 1
	}
	c.late = c.parse(args[2+n:])
	s := &datatype.Split{Keys: c.keys, Ops: make([]operation.Operation, n), Snapshot: true, Then: c.then, Combine: c.reply}
	for i := range s.Ops {
		s.Ops[i] = read{most: c.first()}
	}
	return s, nil
}

// first is how many elements of each key the first read asks for.
func (c *combination) first() int {
	if c.kind == union && c.late == nil {
		return 0
	}
	return sampled
}

// parse parses options.
func (c *combination) parse(args [][]byte) *resp.Value {
	weighted := c.kind == union || c.kind == inter
	for len(args) > 0 {
		word, more := args[0], args[1:]
		switch {
		case weighted && len(more) >= len(c.keys) && datatype.Is(word, "WEIGHTS"):
			for i := range c.weights {
				var ok bool
				if c.weights[i], ok = number.ParseDouble(more[i]); !ok {
					return errWeight
				}
			}
			args = more[len(c.keys):]
		case weighted && len(more) > 0 && datatype.Is(word, "AGGREGATE"):
			if c.aggregate = aggregateNamed(more[0]); c.aggregate == nil {
				return resp.ErrSyntax
			}
			args = more[1:]
		case c.kind != interCard && datatype.Is(word, "WITHSCORES"):
			c.withScores, args = true, more
		case c.kind == interCard && len(more) > 0 && datatype.Is(word, "LIMIT"):
			var ok bool
			if c.limit, ok = number.ParseInt(more[0]); !ok || c.limit < 0 {
				return errLimit
			}
			args = more[1:]
		default:
			return resp.ErrSyntax
		}
	}
	return nil
}

func aggregateNamed(word []byte) Aggregate {
	switch {
	case datatype.Is(word, "SUM"):
		return Sum
	case datatype.Is(word, "MIN"):
		return Min
	case datatype.Is(word, "MAX"):
		return Max
	}
	return nil
}

// then returns what else to read.
func (c *combination) then(results []*resp.Value) (keys [][]byte, ops []operation.Operation) {
	_, missing := c.sources(results)
	for _, m := range missing {
		keys, ops = append(keys, c.keys[m.key]), append(ops, m.op)
	}
	return keys, ops
}

func (c *combination) reply(results []*resp.Value) *resp.Value {
	for _, r := range results {
		if r.IsError() {
			return r
		}
	}
	if c.late != nil {
		return c.late
	}
	sources, _ := c.sources(results)
	inputs := make([]Input, len(sources))
	for i, s := range sources {
		inputs[i] = Input{Members: s.members, Size: s.size, Weight: c.weights[i]}
	}
	switch c.kind {
	case union:
		return List(Union(inputs, c.aggregate), c.withScores)
	case diff:
		return List(Diff(inputs), c.withScores)
	case inter:
		return List(Inter(inputs, c.aggregate), c.withScores)
	}
	n := int64(len(Inter(inputs, Sum)))
	if c.limit > 0 {
		n = min(n, c.limit)
	}
	return resp.Int(n)
}

// missing is a read of one key that is still to be done.
type missing struct {
	key int
	op  operation.Operation
}

// sources returns what the results say about the keys, and what else to read.
// The first results are each key's first read. If the base was too large for
// it, the next step reads all of the base and of the keys that are not much
// larger. A last step looks up the base's members in the remaining keys.
func (c *combination) sources(results []*resp.Value) ([]source, []missing) {
	n := len(c.keys)
	sources := make([]source, n)
	for i, r := range results[:n] {
		if r.IsError() {
			return nil, nil
		}
		sources[i] = sourceIn(r)
	}
	base := c.base(sources)
	if c.late != nil || c.kind == union || sources[base].size == 0 {
		return sources, nil
	}
	rest := results[n:]
	for _, step := range []func(source) operation.Operation{
		func(s source) operation.Operation {
			if sources[base].whole || s.size/2 > sources[base].size {
				return nil
			}
			return read{}
		},
		func(s source) operation.Operation { return lookup{typ: s.typ, members: sources[base].members} },
	} {
		var todo []missing
		for i, s := range sources {
			if op := step(s); !s.whole && op != nil {
				todo = append(todo, missing{key: i, op: op})
			}
		}
		if len(rest) < len(todo) {
			return sources, todo
		}
		for i, m := range todo {
			if rest[i].IsError() {
				return sources, nil
			}
			sources[m.key] = sourceIn(rest[i])
		}
		rest = rest[len(todo):]
	}
	return sources, nil
}

// base returns the key that contains all possible members of the result.
func (c *combination) base(sources []source) int {
	base := 0
	if c.kind != diff {
		for i, s := range sources {
			if s.size < sources[base].size {
				base = i
			}
		}
	}
	return base
}

// source is what is known about a set or sorted set.
type source struct {
	typ     register.Type
	size    uint64
	members []Member
	whole   bool // members has all that are relevant
}
