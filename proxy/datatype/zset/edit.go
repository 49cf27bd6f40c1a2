package zset

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// edit collects a command's changes to a sorted set, member by member.
type edit struct {
	old     register.View
	head    register.Header
	ops     []register.Op
	touched map[string]standing // nil if no member occurs twice
}

// standing is a member's score, or its absence.
type standing struct {
	score  float64
	exists bool
}

// begin starts an edit of n members, which the view covers.
func begin(v register.View, members int) *edit {
	e := &edit{old: v, head: v.Header, ops: make([]register.Op, 0, 3*members)}
	if !v.Header.Exists() {
		e.head.Type = register.SortedSet
	}
	if members > 1 {
		e.touched = make(map[string]standing, members)
	}
	return e
}

// find returns a member's current standing.
func (e *edit) find(name []byte) standing {
	if s, ok := e.touched[string(name)]; ok {
		return s
	}
	score, exists := ScoreIn(e.old, name)
	return standing{score: score, exists: exists}
}

// put sets a member's score.
func (e *edit) put(name []byte, was standing, score float64) {
	if was.exists {
		e.do(register.Op{Kind: register.Remove, Key: rankKey(was.score, name)})
	} else {
		e.head.Size++
		e.head.Encoding = max(e.head.Encoding, encodingOf(e.head.Size, name))
	}
	score = kept(e.head, score)
	e.do(putName(name, score), putRank(name, score))
	e.touch(name, standing{score: score, exists: true})
}

// drop removes a member, which must exist.
func (e *edit) drop(name []byte, score float64) {
	e.head.Size--
	e.do(register.Op{Kind: register.Remove, Key: element.Key(named, name)},
		register.Op{Kind: register.Remove, Key: rankKey(score, name)})
	e.touch(name, standing{})
}

func (e *edit) do(ops ...register.Op) { e.ops = append(e.ops, ops...) }

func (e *edit) touch(name []byte, s standing) {
	if e.touched != nil {
		e.touched[string(name)] = s
	}
}

// effect returns the edit's effect.
func (e *edit) effect(reply *resp.Value) operation.Effect {
	switch {
	case len(e.ops) == 0:
		return datatype.Reply(reply)
	case e.head.Size == 0:
		return datatype.Deletes(reply)
	}
	return datatype.Changes(e.old.Header, e.head, element.Last(e.ops), reply)
}

// without returns the effect of removing members, given their ranked elements.
func without(v register.View, gone []register.Element, reply *resp.Value) operation.Effect {
	if len(gone) > 0 && uint64(len(gone)) >= v.Header.Size {
		return datatype.Deletes(reply)
	}
	e := begin(v, 0)
	for _, g := range gone {
		m := Ranking(g)
		e.drop(m.Name, m.Score)
	}
	return e.effect(reply)
}
