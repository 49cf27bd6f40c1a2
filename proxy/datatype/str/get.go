package str

import (
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var all = register.Projection{All: true}

var empty = resp.Bytes([]byte{})

// get reads the whole string.
type get struct {
	datatype.Reads
	// other is the reply if the register has another type.
	other *resp.Value
}

var (
	plainGet   operation.Operation = get{other: resp.ErrWrongType}
	lenientGet operation.Operation = get{other: resp.Nil}
)

// Get parses GET key.
func Get([][]byte) (operation.Operation, *resp.Value) { return plainGet, nil }

func (get) Needs() register.Projection { return all }

func (g get) Execute(v register.View, _ int64) operation.Effect {
	switch v.Header.Type {
	case register.Absent:
		return datatype.Reply(resp.Nil)
	case register.String:
		return datatype.Reply(reply(v))
	}
	return datatype.Reply(g.other)
}

// MGet parses MGET key [key ...].
func MGet(args [][]byte) (*datatype.Split, *resp.Value) {
	s := &datatype.Split{
		Keys: args[1:], Ops: make([]operation.Operation, len(args)-1),
		Snapshot: true, Combine: datatype.Array,
	}
	for i := range s.Ops {
		s.Ops[i] = lenientGet
	}
	return s, nil
}

type strLen struct{ datatype.Reads }

// StrLen parses STRLEN key.
func StrLen([][]byte) (operation.Operation, *resp.Value) { return strLen{}, nil }

func (strLen) Needs() register.Projection { return register.Projection{} }

func (strLen) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	return datatype.Reply(resp.Int(int64(v.Header.Size)))
}

// getRange reads bytes start to end, inclusive. Negative positions count from
// the end.
type getRange struct {
	datatype.Reads
	start, end int64
}

// GetRange parses GETRANGE (and SUBSTR) key start end.
func GetRange(args [][]byte) (operation.Operation, *resp.Value) {
	start, ok1 := number.ParseInt(args[2])
	end, ok2 := number.ParseInt(args[3])
	if !ok1 || !ok2 {
		return nil, resp.ErrNotInteger
	}
	return &getRange{start: start, end: end}, nil
}

func (g *getRange) Needs() register.Projection { return firstSpan(g.start, g.end) }

func (g *getRange) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	from, to := clip(g.start, g.end, int64(v.Header.Size))
	if from >= to || backwards(g.start, g.end) {
		return datatype.Reply(empty)
	}
	if p := span(from, to); !v.Covers(p) {
		return datatype.Need(p)
	}
	return datatype.Reply(resp.Bytes(read(v, from, to)))
}

// firstSpan is the projection of the bytes start to end, as far as it can be
// computed without the string's size.
func firstSpan(start, end int64) register.Projection {
	if start < 0 || end < 0 {
		return register.Projection{}
	}
	// Chunk keys cannot address more chunks than this.
	const limit = math.MaxUint32 * ChunkSize
	return span(uint64(start), min(uint64(end), limit)+1)
}

// backwards reports whether a range whose ends both count from the string's end
// has its end before its start. Some commands treat it as empty even if
// clipping would leave the first byte.
func backwards(start, end int64) bool { return start < 0 && end < 0 && start > end }

// clip converts Redis's inclusive range, whose negative positions count from
// the end, to an exclusive range within size. It is empty if from >= to.
func clip(start, end, size int64) (from, to uint64) {
	if start < 0 {
		start += size
	}
	if end < 0 {
		end += size
	}
	start, end = max(start, 0), min(max(end, 0), size-1)
	if start > end {
		return 0, 0
	}
	return uint64(start), uint64(end) + 1
}
