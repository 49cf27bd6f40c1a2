package str

import (
	"slices"

	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var (
	errLCSType   = resp.Err("ERR The specified keys must contain string values")
	errLCSBoth   = resp.Err("ERR If you want both the length and indexes, please just use IDX.")
	errLCSMemory = resp.Err("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
)

// lcs has the arguments of LCS.
type lcs struct {
	length, indexes, withLengths bool
	minLength                    int64
	late                         *resp.Value // error reported only after the type check
}

// LCS parses LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN].
func LCS(args [][]byte) (*datatype.Split, *resp.Value) {
	o := parseLCS(args[3:])
	return &datatype.Split{
		Keys: args[1:3], Ops: []operation.Operation{plainGet, plainGet},
		Snapshot: true, Combine: o.combine,
	}, nil
}

func parseLCS(args [][]byte) *lcs {
	o := &lcs{}
	for i := 0; i < len(args); i++ {
		switch {
		case datatype.Is(args[i], "IDX"):
			o.indexes = true
		case datatype.Is(args[i], "LEN"):
			o.length = true
		case datatype.Is(args[i], "WITHMATCHLEN"):
			o.withLengths = true
		case datatype.Is(args[i], "MINMATCHLEN") && i+1 < len(args):
			i++
			n, ok := number.ParseInt(args[i])
			if !ok {
				o.late = resp.ErrNotInteger
				return o
			}
			o.minLength = n
		default:
			o.late = resp.ErrSyntax
			return o
		}
	}
	if o.indexes && o.length {
		o.late = errLCSBoth
	}
	return o
}

func (o *lcs) combine(results []*resp.Value) *resp.Value {
	for _, r := range results {
		if r.IsError() {
			return errLCSType
		}
	}
	if o.late != nil {
		return o.late
	}
	a, b := results[0].Whole().Str, results[1].Whole().Str
	t, ok := newLengths(a, b)
	if !ok {
		return errLCSMemory
	}
	total := int64(t.at(len(a), len(b)))
	switch {
	case o.length:
		return resp.Int(total)
	case !o.indexes:
		out := make([]byte, 0, total)
		t.walk(a, b, func(i, _ int) { out = append(out, a[i]) }, func(match) {})
		slices.Reverse(out)
		return resp.Bytes(out)
	}
	matches := []resp.Value{}
	t.walk(a, b, func(int, int) {}, func(m match) {
		if int64(m.length()) >= o.minLength {
			matches = append(matches, o.describe(m))
		}
	})
	return &resp.Value{Kind: resp.Map, Elems: []resp.Value{
		*resp.Text("matches"), *resp.List(matches...), *resp.Text("len"), *resp.Int(total),
	}}
}

func (o *lcs) describe(m match) resp.Value {
	pair := func(start int) resp.Value {
		return *resp.List(*resp.Int(int64(start)), *resp.Int(int64(start + m.length() - 1)))
	}
	elems := []resp.Value{pair(m.a), pair(m.b)}
	if o.withLengths {
		elems = append(elems, *resp.Int(int64(m.length())))
	}
	return *resp.List(elems...)
}

// lengths is the table of the lengths of the longest common subsequences of all
// prefixes of two strings.
type lengths struct {
	cells []uint32
	width int
}

// newLengths returns false if the table would take too much memory.
func newLengths(a, b []byte) (*lengths, bool) {
	const cell = 4 // bytes
	cells := uint64(len(a)+1) * uint64(len(b)+1)
	if cells*cell > uint64(maxSize.Load()) {
		return nil, false
	}
	t := &lengths{cells: make([]uint32, cells), width: len(b) + 1}
	for i := range a {
		above, row := t.cells[i*t.width:(i+1)*t.width], t.cells[(i+1)*t.width:(i+2)*t.width]
		for j := range b {
			if a[i] == b[j] {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t, true
}

func (t *lengths) at(i, j int) uint32 { return t.cells[i*t.width+j] }

// match is a common run of bytes in both strings, starting at a and b.
type match struct{ a, b, end int }

func (m match) length() int { return m.end - m.a }

// walk follows one longest common subsequence from its end, and collects its
// bytes and their runs.
func (t *lengths) walk(a, b []byte, each func(i, j int), run func(match)) {
	var m match
	open := false
	emit := func() {
		if open {
			run(m)
		}
		open = false
	}
	for i, j := len(a), len(b); i > 0 && j > 0; {
		switch {
		case a[i-1] == b[j-1]:
			i, j = i-1, j-1
			each(i, j)
			if !open {
				open, m.end = true, i+1
			}
			m.a, m.b = i, j
		case t.at(i-1, j) > t.at(i, j-1):
			i--
			emit()
		default:
			j--
			emit()
		}
	}
	emit()
}
