package zset

import (
	"slices"
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// RandMember parses ZRANDMEMBER key [count [WITHSCORES]].
func RandMember(args [][]byte) (operation.Operation, *resp.Value) {
	if len(args) == 2 {
		return element.ParseOne(register.SortedSet, named, func(elems []register.Element) *resp.Value {
			if len(elems) == 0 { // the state is inconsistent
				return resp.Nil
			}
			return &List(ofNamed(elems), false).Elems[0]
		})
	}
	n, err := element.ParseCount(args[2])
	if err != nil {
		return nil, err
	}
	parts := int64(len(args) - 2) // values per member in the reply
	if parts > 2 || (parts == 2 && !datatype.Is(args[3], "WITHSCORES")) {
		return nil, resp.ErrSyntax
	}
	return element.ParseSample(register.SortedSet, named, n, parts, func(elems []register.Element) *resp.Value {
		return List(ofNamed(elems), parts == 2)
	})
}

// ofNamed returns the members of named elements.
func ofNamed(elems []register.Element) []Member {
	out := make([]Member, len(elems))
	for i, e := range elems {
		out[i] = Member{Name: element.Member(named, e.Key), Score: scoreIn(e.Value)}
	}
	return out
}

// scan is ZSCAN. The format of scores depends on the encoding.
type scan struct{ compact, skipList operation.Operation }

// Scan parses ZSCAN key cursor [MATCH pattern] [COUNT count].
func Scan(args [][]byte) (operation.Operation, *resp.Value) {
	compact, err := element.ParseScan(args, register.SortedSet, named, func(elems []register.Element) []resp.Value {
		return texts(elems, CompactText)
	})
	if err != nil {
		return nil, err
	}
	skipList, err := element.ParseScan(args, register.SortedSet, named, func(elems []register.Element) []resp.Value {
		return texts(elems, resp.AppendDouble)
	})
	return scan{compact, skipList}, err
}

func (scan) ReadOnly() bool               { return true }
func (scan) Blind() bool                  { return false }
func (o scan) Needs() register.Projection { return o.skipList.Needs() }

func (o scan) Execute(v register.View, now int64) operation.Effect {
	if v.Header.Encoding == compact {
		return o.compact.Execute(v, now)
	}
	return o.skipList.Execute(v, now)
}

// texts lists members and scores as strings, in order.
func texts(elems []register.Element, show func(dst []byte, score float64) []byte) []resp.Value {
	members := ofNamed(elems)
	slices.SortFunc(members, Compare)
	out := make([]resp.Value, 0, 2*len(members))
	for _, m := range members {
		out = append(out, resp.Value{Kind: resp.Bulk, Str: m.Name}, resp.Value{Kind: resp.Bulk, Str: show(nil, m.Score)})
	}
	return out
}

// CompactText appends a score as Redis's compact encoding stores it: whole
// numbers in the safe range as integers.
func CompactText(dst []byte, score float64) []byte {
	const safe = 1 << 62
	if -safe <= score && score <= safe && score == float64(int64(score)) {
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return resp.AppendDouble(dst, score)
}
