package zset

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

var (
	errXXAndNX = resp.Err("ERR XX and NX options at the same time are not compatible")
	errGTLTNX  = resp.Err("ERR GT, LT, and/or NX options at the same time are not compatible")
	errOnePair = resp.Err("ERR INCR option supports a single increment-element pair")
	errNaN     = resp.Err("ERR resulting score is not a number (NaN)")
)

// AddOptions are the options of ZADD and similar commands.
type AddOptions struct {
	NX, XX bool // only new members, or only existing ones
	GT, LT bool // existing members: only if the new score is greater or lower
	CH     bool // reply with the number of changed members, not only of added ones
	Incr   bool // add the single score to the old one and reply with the sum
}

// take parses an option.
func (o *AddOptions) take(arg []byte) bool {
	switch {
	case datatype.Is(arg, "NX"):
		o.NX = true
	case datatype.Is(arg, "XX"):
		o.XX = true
	case datatype.Is(arg, "CH"):
		o.CH = true
	case datatype.Is(arg, "INCR"):
		o.Incr = true
	case datatype.Is(arg, "GT"):
		o.GT = true
	case datatype.Is(arg, "LT"):
		o.LT = true
	default:
		return false
	}
	return true
}

// check returns the error in the options, given the number of members.
func (o *AddOptions) check(members int) *resp.Value {
	switch {
	case o.NX && o.XX:
		return errXXAndNX
	case (o.GT && o.NX) || (o.LT && o.NX) || (o.GT && o.LT):
		return errGTLTNX
	case o.Incr && members > 1:
		return errOnePair
	}
	return nil
}

// Add parses ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member …].
func Add(args [][]byte) (operation.Operation, *resp.Value) { return parseAdd(args, AddOptions{}) }

// IncrBy parses ZINCRBY key increment member.
func IncrBy(args [][]byte) (operation.Operation, *resp.Value) {
	return parseAdd(args, AddOptions{Incr: true})
}

func parseAdd(args [][]byte, o AddOptions) (operation.Operation, *resp.Value) {
	pairs := args[2:]
	for len(pairs) > 0 && o.take(pairs[0]) {
		pairs = pairs[1:]
	}
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		return nil, resp.ErrSyntax
	}
	if err := o.check(len(pairs) / 2); err != nil {
		return nil, err
	}
	members := make([]Member, len(pairs)/2)
	for i := range members {
		score, ok := number.ParseDouble(pairs[2*i])
		if !ok {
			return nil, resp.ErrNotFloat
		}
		members[i] = Member{Name: pairs[2*i+1], Score: score}
	}
	return Adding(members, o), nil
}

// Adding returns the operation that sets the members' scores. A member may
// occur more than once.
func Adding(members []Member, o AddOptions) operation.Operation { return &add{members: members, o: o} }

type add struct {
	datatype.Writes
	members []Member
	o       AddOptions
}

func (a *add) Needs() register.Projection {
	keys := make([][]byte, len(a.members))
	for i, m := range a.members {
		keys[i] = element.Key(named, m.Name)
	}
	return register.Projection{Keys: keys}
}

func (a *add) Execute(v register.View, _ int64) operation.Effect {
	if err := element.Check(v.Header, register.SortedSet); err != nil {
		return datatype.Reply(err)
	}
	e := begin(v, len(a.members))
	var added, changed int64
	reply := resp.Nil // reply of Incr if the options prevent the change
	for _, m := range a.members {
		was := e.find(m.Name)
		score, wanted := a.o.score(was, m.Score)
		switch {
		case math.IsNaN(score):
			return datatype.Reply(errNaN)
		case !wanted:
			continue
		}
		if a.o.Incr {
			reply = double(score)
		}
		if !was.exists {
			added++
		} else if score == was.score {
			continue
		}
		changed++
		e.put(m.Name, was, score)
	}
	switch {
	case a.o.Incr:
	case a.o.CH:
		reply = resp.Int(changed)
	default:
		reply = resp.Int(added)
	}
	return e.effect(reply)
}

// score returns a member's new score, and whether the options allow it.
func (o *AddOptions) score(was standing, given float64) (score float64, wanted bool) {
	if !was.exists {
		return given, !o.XX
	}
	if o.NX {
		return given, false
	}
	if score = given; o.Incr {
		score += was.score
	}
	return score, !(o.LT && score >= was.score) && !(o.GT && score <= was.score)
}

func double(f float64) *resp.Value { return &resp.Value{Kind: resp.Double, Float: f} }
