package zset

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// Card parses ZCARD key.
func Card([][]byte) (operation.Operation, *resp.Value) { return element.ParseSize(register.SortedSet) }

// Score parses ZSCORE key member.
func Score(args [][]byte) (operation.Operation, *resp.Value) {
	return Lookup(args[2:], func(scores []resp.Value) *resp.Value { return &scores[0] })
}

// MScore parses ZMSCORE key member [member …].
func MScore(args [][]byte) (operation.Operation, *resp.Value) {
	return Lookup(args[2:], func(scores []resp.Value) *resp.Value { return resp.List(scores...) })
}

// Lookup returns the operation that builds its reply from the scores of
// members, each a Double or nil.
func Lookup(names [][]byte, show func([]resp.Value) *resp.Value) (operation.Operation, *resp.Value) {
	return element.ParseLookup(register.SortedSet, named, names, func(v register.View, keys [][]byte) *resp.Value {
		scores := make([]resp.Value, len(keys))
		for i, key := range keys {
			if value, exists := v.Get(key); exists {
				scores[i] = *double(scoreIn(value))
			} else {
				scores[i] = *resp.Nil
			}
		}
		return show(scores)
	})
}

// rank is ZRANK and ZREVRANK.
type rank struct {
	datatype.Reads
	name       []byte
	reverse    bool
	withScores bool
}

// Rank parses ZRANK key member [WITHSCORE].
func Rank(args [][]byte) (operation.Operation, *resp.Value) { return parseRank(args, false) }

// RevRank parses ZREVRANK key member [WITHSCORE].
func RevRank(args [][]byte) (operation.Operation, *resp.Value) { return parseRank(args, true) }

func parseRank(args [][]byte, reverse bool) (operation.Operation, *resp.Value) {
	o := &rank{name: args[2], reverse: reverse}
	switch {
	case len(args) > 4:
		name := "zrank"
		if reverse {
			name = "zrevrank"
		}
		return nil, resp.ErrArity(name)
	case len(args) == 4 && !datatype.Is(args[3], "WITHSCORE"):
		return nil, resp.ErrSyntax
	}
	o.withScores = len(args) == 4
	return o, nil
}

func (o *rank) Needs() register.Projection {
	return register.Projection{Keys: [][]byte{element.Key(named, o.name)}}
}

func (o *rank) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.SortedSet); err != nil {
		return datatype.Reply(err)
	}
	value, exists := v.Get(element.Key(named, o.name))
	if !exists {
		if o.withScores {
			return datatype.Reply(resp.NilArray)
		}
		return datatype.Reply(resp.Nil)
	}
	score := scoreIn(value)
	before := register.Span{From: ranked.From, To: rankKey(score, o.name)}
	n, known := v.Count(before)
	if !known {
		return datatype.Need(register.Projection{Counts: []register.Span{before}})
	}
	if o.reverse {
		n = v.Header.Size - 1 - n
	}
	place := resp.Int(int64(n))
	if o.withScores {
		place = resp.List(*place, *double(score))
	}
	return datatype.Reply(place)
}
