package zset

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

var (
	errLimitByRank   = resp.Err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	errScoresByNames = resp.Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
)

// rangeKind is the unit of a range: rank, score or name.
type rangeKind uint8

const (
	ranks rangeKind = iota
	scoreEnds
	nameEnds
)

// rangeRead is ZRANGE and similar commands.
type rangeRead struct {
	datatype.Reads
	choice
	withScores bool
}

// rangeOptions are the options after a range.
type rangeOptions struct {
	kind       rangeKind
	reverse    bool
	withScores bool
	page       page
}

// Range parses ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count]
// [WITHSCORES].
func Range(args [][]byte) (operation.Operation, *resp.Value) {
	o := rangeOptions{page: all}
	err := o.parse(args[4:], func(arg []byte) bool {
		switch {
		case !o.reverse && datatype.Is(arg, "REV"):
			o.reverse = true
		case o.kind == ranks && datatype.Is(arg, "BYSCORE"):
			o.kind = scoreEnds
		case o.kind == ranks && datatype.Is(arg, "BYLEX"):
			o.kind = nameEnds
		default:
			return false
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return o.read(args[2], args[3])
}

// fixed returns the parser of a command that is one kind of ZRANGE.
func fixed(kind rangeKind, reverse bool) func(args [][]byte) (operation.Operation, *resp.Value) {
	return func(args [][]byte) (operation.Operation, *resp.Value) {
		o := rangeOptions{kind: kind, reverse: reverse, page: all}
		if err := o.parse(args[4:], func([]byte) bool { return false }); err != nil {
			return nil, err
		}
		return o.read(args[2], args[3])
	}
}

// The commands that ZRANGE replaces: key start stop [LIMIT offset count]
// [WITHSCORES], if they have these options.
var (
	RevRange        = fixed(ranks, true)
	RangeByScore    = fixed(scoreEnds, false)
	RevRangeByScore = fixed(scoreEnds, true)
	RangeByLex      = fixed(nameEnds, false)
	RevRangeByLex   = fixed(nameEnds, true)
)

// parse parses options. It offers options that only some commands have to more.
func (o *rangeOptions) parse(args [][]byte, more func(arg []byte) bool) *resp.Value {
	for ; len(args) > 0; args = args[1:] {
		switch {
		case datatype.Is(args[0], "WITHSCORES"):
			o.withScores = true
		case len(args) > 2 && datatype.Is(args[0], "LIMIT"):
			var ok [2]bool
			o.page.offset, ok[0] = number.ParseInt(args[1])
			o.page.count, ok[1] = number.ParseInt(args[2])
			if !ok[0] || !ok[1] {
				return resp.ErrNotInteger
			}
			args = args[2:]
		case !more(args[0]):
			return resp.ErrSyntax
		}
	}
	switch {
	case o.page.count != -1 && o.kind == ranks:
		return errLimitByRank
	case o.withScores && o.kind == nameEnds:
		return errScoresByNames
	}
	return nil
}

// read returns the operation. A reversed range by score or name has its higher
// end first.
func (o *rangeOptions) read(first, last []byte) (operation.Operation, *resp.Value) {
	if o.reverse && o.kind != ranks {
		first, last = last, first
	}
	c, err := o.kind.choice(first, last, o.page, o.reverse)
	if err != nil {
		return nil, err
	}
	return &rangeRead{choice: c, withScores: o.withScores}, nil
}

// choice parses the ends of a range.
func (k rangeKind) choice(first, last []byte, p page, reverse bool) (choice, *resp.Value) {
	switch k {
	case scoreEnds:
		s, err := scores(first, last)
		return byScore{span: s, page: p, reverse: reverse}, err
	case nameEnds:
		n, err := parseNames(first, last)
		return byName{names: n, page: p, reverse: reverse}, err
	}
	start, ok := number.ParseInt(first)
	stop, too := number.ParseInt(last)
	if !ok || !too {
		return nil, resp.ErrNotInteger
	}
	return byRank{start: start, stop: stop, reverse: reverse}, nil
}

func (o *rangeRead) Needs() register.Projection { return o.needs() }

func (o *rangeRead) Execute(v register.View, _ int64) operation.Effect {
	return chosen(o.choice, v, func(elems []register.Element) operation.Effect {
		return datatype.Reply(List(members(elems), o.withScores))
	})
}

// List returns a reply that lists members, with or without scores.
func List(members []Member, withScores bool) *resp.Value {
	if !withScores {
		elems := make([]resp.Value, len(members))
		for i, m := range members {
			elems[i] = resp.Value{Kind: resp.Bulk, Str: m.Name}
		}
		return resp.List(elems...)
	}
	return &resp.Value{Kind: resp.Pairs, Elems: scored(members)}
}

// scored lists members alternating with their scores.
func scored(members []Member) []resp.Value {
	elems := make([]resp.Value, 0, 2*len(members))
	for _, m := range members {
		elems = append(elems, resp.Value{Kind: resp.Bulk, Str: m.Name}, resp.Value{Kind: resp.Double, Float: m.Score})
	}
	return elems
}

// count is ZCOUNT and ZLEXCOUNT.
type count struct {
	datatype.Reads
	choice // byScore or byName, without a limit
}

// Count parses ZCOUNT key min max.
func Count(args [][]byte) (operation.Operation, *resp.Value) { return parseCount(args, scoreEnds) }

// LexCount parses ZLEXCOUNT key min max.
func LexCount(args [][]byte) (operation.Operation, *resp.Value) { return parseCount(args, nameEnds) }

func parseCount(args [][]byte, kind rangeKind) (operation.Operation, *resp.Value) {
	c, err := kind.choice(args[2], args[3], all, false)
	if err != nil {
		return nil, err
	}
	return &count{choice: c}, nil
}

func (o *count) Needs() register.Projection {
	if c, ok := o.choice.(byScore); ok && !c.span.Empty() {
		return register.Projection{Counts: []register.Span{c.span}}
	}
	return o.needs()
}

func (o *count) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.SortedSet); err != nil {
		return datatype.Reply(err)
	}
	var span register.Span
	var need *register.Projection
	switch c := o.choice.(type) {
	case byScore:
		span = c.span
	case byName:
		if v.Header.Encoding == compact {
			elems, need := c.in(v)
			return operation.Effect{Result: resp.Int(int64(len(elems))), Need: need}
		}
		if span, need = c.span(v); need != nil {
			return operation.Effect{Need: need}
		}
	}
	n, known := v.Count(span)
	if !known {
		return datatype.Need(register.Projection{Counts: []register.Span{span}})
	}
	return datatype.Reply(resp.Int(int64(n)))
}
