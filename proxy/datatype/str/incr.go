package str

import (
	"math"
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

// first projects the chunk that contains any string short enough to be a
// number.
var first = register.Projection{Keys: [][]byte{firstChunk}}

// incr adds to an integer.
type incr struct {
	datatype.Writes
	delta int64
}

var (
	incrOne operation.Operation = &incr{delta: 1}
	decrOne operation.Operation = &incr{delta: -1}
)

// Incr parses INCR key.
func Incr([][]byte) (operation.Operation, *resp.Value) { return incrOne, nil }

// Decr parses DECR key.
func Decr([][]byte) (operation.Operation, *resp.Value) { return decrOne, nil }

// IncrBy parses INCRBY key increment.
func IncrBy(args [][]byte) (operation.Operation, *resp.Value) {
	n, ok := number.ParseInt(args[2])
	if !ok {
		return nil, resp.ErrNotInteger
	}
	return &incr{delta: n}, nil
}

var errNegation = resp.Err("ERR decrement would overflow")

// DecrBy parses DECRBY key decrement.
func DecrBy(args [][]byte) (operation.Operation, *resp.Value) {
	n, ok := number.ParseInt(args[2])
	switch {
	case !ok:
		return nil, resp.ErrNotInteger
	case n == math.MinInt64:
		return nil, errNegation
	}
	return &incr{delta: -n}, nil
}

func (*incr) Needs() register.Projection { return first }

func (o *incr) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	var n int64
	if v.Header.Exists() {
		if v.Header.Size > ChunkSize {
			return datatype.Reply(resp.ErrNotInteger)
		}
		var ok bool
		if n, ok = number.ParseInt(content(v)); !ok {
			return datatype.Reply(resp.ErrNotInteger)
		}
	}
	if (o.delta > 0 && n > math.MaxInt64-o.delta) || (o.delta < 0 && n < math.MinInt64-o.delta) {
		return datatype.Reply(resp.ErrOverflow)
	}
	n += o.delta
	// Allocates the digits and the op that stores them together.
	m := &struct {
		ops    [1]register.Op
		digits [20]byte
	}{}
	digits := strconv.AppendInt(m.digits[:0], n, 10)
	m.ops[0] = register.Op{Kind: register.Put, Key: firstChunk, Value: digits}
	return datatype.Changes(v.Header, rewritten(v.Header, len(digits), encodingAuto), m.ops[:], resp.Int(n))
}

// rewritten returns the header of a string whose content was replaced in place.
func rewritten(h register.Header, size int, encoding uint8) register.Header {
	h.Type, h.Size, h.Encoding = register.String, uint64(size), encoding
	return h
}

// incrByFloat adds to a floating point number.
type incrByFloat struct {
	datatype.Writes
	delta number.Float
	valid bool // false if delta is not a number, reported only after the type check
}

// IncrByFloat parses INCRBYFLOAT key increment.
func IncrByFloat(args [][]byte) (operation.Operation, *resp.Value) {
	delta, ok := number.ParseFloat(args[2])
	return &incrByFloat{delta: delta, valid: ok}, nil
}

var errNotFinite = resp.Err("ERR increment would produce NaN or Infinity")

func (*incrByFloat) Needs() register.Projection { return first }

func (o *incrByFloat) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	var n number.Float
	valid := o.valid
	if v.Header.Exists() {
		if v.Header.Size > ChunkSize {
			return datatype.Reply(resp.ErrNotFloat)
		}
		var ok bool
		n, ok = number.ParseFloat(content(v))
		valid = valid && ok
	}
	if !valid {
		return datatype.Reply(resp.ErrNotFloat)
	}
	sum, ok := n.Add(o.delta)
	if !ok {
		return datatype.Reply(errNotFinite)
	}
	text := sum.Append(nil)
	h := rewritten(v.Header, len(text), encodingText)
	ops := []register.Op{{Kind: register.Put, Key: firstChunk, Value: text}}
	return datatype.Changes(v.Header, h, ops, resp.Bytes(text))
}
