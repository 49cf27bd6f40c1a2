package zset

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

// remove is ZREM.
type remove struct {
	datatype.Writes
	names [][]byte
}

// Remove parses ZREM key member [member …].
func Remove(args [][]byte) (operation.Operation, *resp.Value) { return &remove{names: args[2:]}, nil }

func (o *remove) Needs() register.Projection {
	return register.Projection{Keys: Keys(o.names)}
}

func (o *remove) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.SortedSet); err != nil {
		return datatype.Reply(err)
	}
	e := begin(v, len(o.names))
	var n int64
	for _, name := range o.names {
		if was := e.find(name); was.exists {
			e.drop(name, was.score)
			n++
		}
	}
	return e.effect(resp.Int(n))
}

// take removes the members that it picks.
type take struct {
	datatype.Writes
	choice
	show func(gone []register.Element) *resp.Value
}

func (o *take) Needs() register.Projection { return o.needs() }

func (o *take) Execute(v register.View, _ int64) operation.Effect {
	return chosen(o.choice, v, func(gone []register.Element) operation.Effect {
		return without(v, gone, o.show(gone))
	})
}

// RemoveRangeByRank parses ZREMRANGEBYRANK key start stop.
func RemoveRangeByRank(args [][]byte) (operation.Operation, *resp.Value) {
	return parseRemoveRange(args, ranks)
}

// RemoveRangeByScore parses ZREMRANGEBYSCORE key min max.
func RemoveRangeByScore(args [][]byte) (operation.Operation, *resp.Value) {
	return parseRemoveRange(args, scoreEnds)
}

// RemoveRangeByLex parses ZREMRANGEBYLEX key min max.
func RemoveRangeByLex(args [][]byte) (operation.Operation, *resp.Value) {
	return parseRemoveRange(args, nameEnds)
}

func parseRemoveRange(args [][]byte, kind rangeKind) (operation.Operation, *resp.Value) {
	c, err := kind.choice(args[2], args[3], all, false)
	if err != nil {
		return nil, err
	}
	return &take{choice: c, show: func(gone []register.Element) *resp.Value { return resp.Int(int64(len(gone))) }}, nil
}

// pop is a take from one end.
type pop struct{ take }

// ahead is how many extra members a pop asks for. The proxy caches them for
// later pops.
const ahead = 16

// Prefetch also asks for the members of later pops (operation.Prefetcher).
func (o *pop) Prefetch(waiting int) register.Projection {
	p := o.needs()
	for i := range p.Ranges {
		if r := &p.Ranges[i]; r.Limit > 0 {
			r.Limit += ahead + waiting
		}
	}
	return p
}

var errNegative = resp.Err("ERR value is out of range, must be positive")

// PopMin parses ZPOPMIN key [count].
func PopMin(args [][]byte) (operation.Operation, *resp.Value) { return parsePop(args, false) }

// PopMax parses ZPOPMAX key [count].
func PopMax(args [][]byte) (operation.Operation, *resp.Value) { return parsePop(args, true) }

func parsePop(args [][]byte, reverse bool) (operation.Operation, *resp.Value) {
	o := &pop{take{choice: byRank{reverse: reverse}, show: func(gone []register.Element) *resp.Value {
		return resp.List(scored(members(gone))...)
	}}}
	switch {
	case len(args) > 3:
		return nil, resp.ErrSyntax
	case len(args) == 3:
		n, ok := number.ParseInt(args[2])
		if !ok || n < 0 {
			return nil, errNegative
		}
		o.choice = byScore{span: ranked, page: page{count: n}, reverse: reverse}
		o.show = func(gone []register.Element) *resp.Value { return List(members(gone), true) }
	}
	return o, nil
}
