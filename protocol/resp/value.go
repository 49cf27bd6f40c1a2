// Package resp has the values of the Redis protocol, in both versions, and
// Redis's error texts. Commands answer with a Value; the front end encodes it
// in the version that the connection speaks (RESP2 or RESP3).
package resp

import (
	"math"
	"strconv"
)

// Kind is the kind of a Value, named by its first byte in RESP3.
type Kind byte

// The kinds of values. In RESP2 a Map is a flat array, a Set an array, Null and
// NullArray are $-1 and *-1, Double, BigNumber and Verbatim are bulk strings
// and a Bool is an integer.
const (
	Simple    Kind = '+'
	Failure   Kind = '-'
	Integer   Kind = ':'
	Bulk      Kind = '$'
	Null      Kind = '_'
	Array     Kind = '*'
	NullArray Kind = 'n' // RESP3 writes it as Null
	Map       Kind = '%'
	Set       Kind = '~'
	Double    Kind = ','
	Bool      Kind = '#'
	BigNumber Kind = '('
	Verbatim  Kind = '=' // Str begins with "txt:"
	Push      Kind = '>'
	Pairs     Kind = 'p' // an Array of two-element Arrays, flat in RESP2
	Table     Kind = 't' // a Map, an Array of two-element Arrays in RESP2
	Chunks    Kind = 'c' // a Bulk in parts: the Bulks of Elems, of Int bytes together
)

// Value is one reply. Values are immutable once made.
type Value struct {
	Kind  Kind
	Int   int64   // Integer, Bool
	Float float64 // Double
	Str   []byte  // Simple, Failure, Bulk, BigNumber, Verbatim; of a Double its text, if AppendDouble's is not wanted
	Elems []Value // Array, Set, Push; of Map, Pairs and Table keys and values in turn
}

// OK is the reply of commands that have nothing else to say.
var OK = &Value{Kind: Simple, Str: []byte("OK")}

// Nil is the reply for what is not there; NilArray the same where an array was
// expected.
var (
	Nil      = &Value{Kind: Null}
	NilArray = &Value{Kind: NullArray}
)

// Int returns an Integer.
func Int(n int64) *Value {
	if n >= 0 && n < int64(len(smallInts)) {
		return &smallInts[n]
	}
	return &Value{Kind: Integer, Int: n}
}

var smallInts = func() (v [256]Value) {
	for i := range v {
		v[i] = Value{Kind: Integer, Int: int64(i)}
	}
	return v
}()

// Bytes returns a Bulk of b, which it takes over.
func Bytes(b []byte) *Value { return &Value{Kind: Bulk, Str: b} }

// Parts returns a Bulk of size bytes, which stand in parts. It takes these over.
func Parts(size int, parts []Value) *Value {
	return &Value{Kind: Chunks, Int: int64(size), Elems: parts}
}

// Whole returns v, as one Bulk if it stands in parts.
func (v *Value) Whole() *Value {
	if v.Kind != Chunks {
		return v
	}
	b := make([]byte, 0, v.Int)
	for i := range v.Elems {
		b = append(b, v.Elems[i].Str...)
	}
	return Bytes(b)
}

// Text returns a Bulk of s.
func Text(s string) *Value { return &Value{Kind: Bulk, Str: []byte(s)} }

// Status returns a Simple string.
func Status(s string) *Value { return &Value{Kind: Simple, Str: []byte(s)} }

// List returns an Array of the values.
func List(elems ...Value) *Value { return &Value{Kind: Array, Elems: elems} }

// Err returns a Failure with the text, which begins with its code ("ERR …").
func Err(text string) *Value { return &Value{Kind: Failure, Str: []byte(text)} }

// IsError reports whether v is a Failure.
func (v *Value) IsError() bool { return v.Kind == Failure }

// AppendTo appends the value's encoding in the protocol version, 2 or 3.
func (v *Value) AppendTo(dst []byte, version int) []byte {
	switch v.Kind {
	case Simple, Failure:
		return appendLine(dst, byte(v.Kind), v.Str)
	case Integer:
		return appendNumber(dst, ':', v.Int)
	case Bulk:
		return appendBlob(dst, '$', v.Str)
	case Null, NullArray:
		return appendNull(dst, v.Kind, version)
	case Array, Set, Push, Map, Pairs, Table:
		return v.appendAggregate(dst, version)
	case Chunks:
		dst = appendNumber(dst, '$', v.Int)
		for i := range v.Elems {
			dst = append(dst, v.Elems[i].Str...)
		}
		return append(dst, '\r', '\n')
	}
	return v.appendScalar(dst, version)
}

func (v *Value) appendAggregate(dst []byte, version int) []byte {
	dst, paired := v.appendHead(dst, version)
	for i := range v.Elems {
		if paired && i%2 == 0 {
			dst = appendNumber(dst, '*', 2)
		}
		dst = v.Elems[i].AppendTo(dst, version)
	}
	return dst
}

// appendHead appends what stands before the elements. paired tells that each two
// of them are an array of their own.
func (v *Value) appendHead(dst []byte, version int) (_ []byte, paired bool) {
	kind, n := byte(v.Kind), len(v.Elems)
	paired = (v.Kind == Pairs && version >= 3) || (v.Kind == Table && version < 3)
	switch {
	case paired:
		kind, n = '*', n/2
	case version < 3:
		kind = '*'
	case v.Kind == Map || v.Kind == Table:
		kind, n = '%', n/2
	}
	return appendNumber(dst, kind, int64(n)), paired
}

// appendScalar writes the kinds that only RESP3 knows.
func (v *Value) appendScalar(dst []byte, version int) []byte {
	switch v.Kind {
	case Double:
		text := v.Str
		if text == nil {
			text = AppendDouble(nil, v.Float)
		}
		if version < 3 {
			return appendBlob(dst, '$', text)
		}
		return appendLine(dst, ',', text)
	case Bool:
		if version < 3 {
			return appendNumber(dst, ':', v.Int)
		}
		if v.Int != 0 {
			return append(dst, "#t\r\n"...)
		}
		return append(dst, "#f\r\n"...)
	case BigNumber:
		if version < 3 {
			return appendBlob(dst, '$', v.Str)
		}
		return appendLine(dst, '(', v.Str)
	case Verbatim:
		if version < 3 {
			return appendBlob(dst, '$', v.Str[4:])
		}
		return appendBlob(dst, '=', v.Str)
	}
	panic("resp: value without a kind")
}

func appendNull(dst []byte, kind Kind, version int) []byte {
	switch {
	case version >= 3:
		return append(dst, "_\r\n"...)
	case kind == NullArray:
		return append(dst, "*-1\r\n"...)
	}
	return append(dst, "$-1\r\n"...)
}

func appendLine(dst []byte, kind byte, text []byte) []byte {
	dst = append(dst, kind)
	dst = append(dst, text...)
	return append(dst, '\r', '\n')
}

func appendNumber(dst []byte, kind byte, n int64) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

func appendBlob(dst []byte, kind byte, b []byte) []byte {
	dst = appendNumber(dst, kind, int64(len(b)))
	dst = append(dst, b...)
	return append(dst, '\r', '\n')
}

// AppendDouble appends a double as Redis prints it in replies ("%.17g", with
// inf, -inf and nan).
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}
