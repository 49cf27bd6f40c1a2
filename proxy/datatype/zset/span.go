package zset

import (
	"bytes"

	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/number"
)

var (
	errScores = resp.Err("ERR min or max is not a float")
	errNames  = resp.Err("ERR min or max not valid string range item")
)

// scores returns the ranked elements from a lowest to a highest score. A "("
// excludes that score.
func scores(low, high []byte) (register.Span, *resp.Value) {
	from, without, ok := scoreEnd(low)
	if !ok {
		return register.Span{}, errScores
	}
	to, before, ok := scoreEnd(high)
	if !ok {
		return register.Span{}, errScores
	}
	first, last := order(from), order(to)
	if without {
		first++
	}
	if !before {
		last++
	}
	return register.Span{From: place(first, 0), To: place(last, 0)}, nil
}

// Scores returns the ranked elements with from <= score < to.
func Scores(from, to float64) register.Range {
	return register.Range{From: place(order(from), 0), To: place(order(to), 0)}
}

func scoreEnd(text []byte) (score float64, open, ok bool) {
	if len(text) > 0 && text[0] == '(' {
		text, open = text[1:], true
	}
	score, ok = number.ParseBound(text)
	return score, open, ok
}

// names is a range of names.
type names struct{ low, high nameEnd }

// nameEnd is an end of a range of names.
type nameEnd struct {
	infinite int // -1: before all names, 1: after all names
	name     []byte
	open     bool // excludes the name itself
}

func parseNames(low, high []byte) (names, *resp.Value) {
	l, ok := parseNameEnd(low)
	if !ok {
		return names{}, errNames
	}
	h, ok := parseNameEnd(high)
	if !ok {
		return names{}, errNames
	}
	return names{low: l, high: h}, nil
}

func parseNameEnd(text []byte) (nameEnd, bool) {
	if len(text) == 0 {
		return nameEnd{}, false
	}
	alone := len(text) == 1 || text[1] == 0 // a C string ends here
	switch text[0] {
	case '-':
		return nameEnd{infinite: -1}, alone
	case '+':
		return nameEnd{infinite: 1}, alone
	case '[':
		return nameEnd{name: text[1:]}, true
	case '(':
		return nameEnd{name: text[1:], open: true}, true
	}
	return nameEnd{}, false
}

// compare compares a name to an end.
func (e nameEnd) compare(name []byte) int {
	if e.infinite != 0 {
		return -e.infinite
	}
	return bytes.Compare(name, e.name)
}

// above reports whether a name is not below the range.
func (n names) above(name []byte) bool {
	c := n.low.compare(name)
	return c > 0 || (c == 0 && !n.low.open)
}

// below reports whether a name is not above the range.
func (n names) below(name []byte) bool {
	c := n.high.compare(name)
	return c < 0 || (c == 0 && !n.high.open)
}

// empty reports whether no name can be in the range.
func (n names) empty() bool {
	l, h := n.low, n.high
	if l.infinite != 0 || h.infinite != 0 {
		return l.infinite > h.infinite
	}
	c := bytes.Compare(l.name, h.name)
	return c > 0 || (c == 0 && (l.open || h.open))
}

// of returns the ranked elements of one score whose names are in the range.
func (n names) of(score float64) register.Span {
	return register.Span{From: n.low.key(score, n.low.open), To: n.high.key(score, !n.high.open)}
}

// key returns the ranked key at a range's end; behind means just after the
// name.
func (e nameEnd) key(score float64, behind bool) []byte {
	switch e.infinite {
	case -1:
		return place(order(score), 0)
	case 1:
		return place(order(score)+1, 0)
	}
	key := rankKey(score, e.name)
	if behind {
		key = register.Next(key)
	}
	return key
}
