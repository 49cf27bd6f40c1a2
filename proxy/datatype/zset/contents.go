package zset

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// sampled is how many elements of a set or sorted set are read before its size
// is known.
const sampled = 128

// plainScore is the score of a plain set's members.
const plainScore = 1

// result encodes a source as an operation's result: the type, the size, whether
// the members are complete, and the members with their scores.
func (s source) result() *resp.Value {
	whole := resp.Int(0)
	if s.whole {
		whole = resp.Int(1)
	}
	return resp.List(append([]resp.Value{*resp.Int(int64(s.typ)), *resp.Int(int64(s.size)), *whole}, scored(s.members)...)...)
}

// sourceIn decodes a source from a result.
func sourceIn(r *resp.Value) source {
	head, rest := r.Elems[:3], r.Elems[3:]
	s := source{typ: register.Type(head[0].Int), size: uint64(head[1].Int), whole: head[2].Int == 1}
	s.members = make([]Member, len(rest)/2)
	for i := range s.members {
		s.members[i] = Member{Name: rest[2*i].Str, Score: rest[2*i+1].Float}
	}
	return s
}

// isSet reports whether a register is empty, a set or a sorted set.
func isSet(t register.Type) bool {
	return t == register.Set || t == register.SortedSet || t == register.Absent
}

// read returns the members of a set or sorted set, or only its size if it has
// more than most elements. A most of zero means no limit.
type read struct {
	datatype.Reads
	most int
}

func (o read) Needs() register.Projection {
	if o.most == 0 {
		return register.Projection{All: true}
	}
	return register.Projection{Ranges: []register.Range{{Limit: o.most}}}
}

func (o read) Execute(v register.View, _ int64) operation.Effect {
	s := source{typ: v.Header.Type, size: v.Header.Size}
	if !isSet(s.typ) {
		return datatype.Reply(resp.ErrWrongType)
	}
	elements := s.size
	if s.typ == register.SortedSet {
		elements *= 2
	}
	if o.most > 0 && elements > uint64(o.most) {
		return datatype.Reply(s.result())
	}
	elems, known := v.Range(register.Range{Limit: o.most})
	if !known {
		return datatype.Need(o.Needs())
	}
	if s.whole = true; s.typ == register.SortedSet {
		s.members = members(elems[len(elems)/2:]) // ranked elements come last
	} else {
		s.members = make([]Member, len(elems))
		for i, name := range element.Members("", elems) {
			s.members[i] = Member{Name: name, Score: plainScore}
		}
	}
	return datatype.Reply(s.result())
}

// lookup returns which of the given members a set or sorted set has.
type lookup struct {
	datatype.Reads
	typ     register.Type
	members []Member
}

func (o lookup) prefix() string {
	if o.typ == register.SortedSet {
		return named
	}
	return ""
}

func (o lookup) Needs() register.Projection {
	keys := make([][]byte, len(o.members))
	for i, m := range o.members {
		keys[i] = element.Key(o.prefix(), m.Name)
	}
	return register.Projection{Keys: keys}
}

func (o lookup) Execute(v register.View, _ int64) operation.Effect {
	if v.Header.Type != o.typ { // from a different state of the database; the result will be discarded
		return datatype.Reply(resp.ErrWrongType)
	}
	s := source{typ: o.typ, size: v.Header.Size, whole: true}
	for _, m := range o.members {
		value, exists := v.Get(element.Key(o.prefix(), m.Name))
		if !exists {
			continue
		}
		found := Member{Name: m.Name, Score: plainScore}
		if o.typ == register.SortedSet {
			found.Score = scoreIn(value)
		}
		s.members = append(s.members, found)
	}
	return datatype.Reply(s.result())
}
