package hash

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

// set sets fields and removes their expiry.
type set struct {
	datatype.Writes
	puts     []register.Op // each on a different field, in element order
	keys     [][]byte      // of puts
	encoding uint8         // that the fields and values require
	ok       bool          // reply OK, else the number of new fields
}

func newSet(pairs [][]byte) *set {
	puts := puts(pairs)
	return &set{puts: puts, keys: element.Keys(puts), encoding: encodingOf(pairs)}
}

// Set parses HSET key field value [field value ...].
func Set(args [][]byte) (operation.Operation, *resp.Value) {
	if len(args)%2 != 0 {
		return nil, resp.ErrArity("hset")
	}
	return newSet(args[2:]), nil
}

// MSet parses HMSET key field value [field value ...].
func MSet(args [][]byte) (operation.Operation, *resp.Value) {
	if len(args)%2 != 0 {
		return nil, resp.ErrArity("hmset")
	}
	o := newSet(args[2:])
	o.ok = true
	return o, nil
}

func (o *set) Needs() register.Projection { return register.Projection{Keys: o.keys} }

func (o *set) Execute(v register.View, now int64) operation.Effect {
	if err := element.Check(v.Header, register.Hash); err != nil {
		return datatype.Reply(err)
	}
	e := editOf(v, now)
	e.ops = make([]register.Op, 0, len(o.puts))
	created := int64(0)
	for i := range o.puts {
		if e.put(o.puts[i].Key, o.puts[i].Value) {
			created++
		}
	}
	reply := resp.OK
	if !o.ok {
		reply = resp.Int(created)
	}
	return e.effect(o.encoding, reply)
}

// setNX sets a field if it does not exist.
type setNX struct{ *set }

// SetNX parses HSETNX key field value.
func SetNX(args [][]byte) (operation.Operation, *resp.Value) { return setNX{newSet(args[2:])}, nil }

func (o setNX) Execute(v register.View, now int64) operation.Effect {
	if v.Header.Type == register.Hash {
		e := editOf(v, now)
		if _, exists := e.live(o.keys[0]); exists {
			return datatype.Reply(resp.Int(0))
		}
	}
	return o.set.Execute(v, now)
}

// del removes fields.
type del struct {
	datatype.Writes
	keys [][]byte // without duplicates
}

// Del parses HDEL key field [field ...].
func Del(args [][]byte) (operation.Operation, *resp.Value) {
	o := &del{keys: appendKeys(nil, args[2:])}
	slices.SortFunc(o.keys, bytes.Compare)
	o.keys = slices.CompactFunc(o.keys, bytes.Equal)
	return o, nil
}

func (o *del) Needs() register.Projection { return register.Projection{Keys: o.keys} }

func (o *del) Execute(v register.View, now int64) operation.Effect {
	if err := element.Check(v.Header, register.Hash); err != nil {
		return datatype.Reply(err)
	}
	e := editOf(v, now)
	n := int64(0)
	for _, key := range o.keys {
		if f, exists := e.live(key); exists {
			e.remove(key, f)
			n++
		}
	}
	return e.effect(compact, resp.Int(n))
}

// calculate replaces a field's value with the result of next. The field keeps
// its expiry.
type calculate struct {
	datatype.Writes
	field []byte
	key   []byte
	// next returns the new value and the reply, or nil and an error.
	next func(value []byte, exists bool) ([]byte, *resp.Value)
}

func newCalculate(field []byte, next func([]byte, bool) ([]byte, *resp.Value)) (operation.Operation, *resp.Value) {
	return &calculate{field: field, key: element.Key("", field), next: next}, nil
}

func (o *calculate) Needs() register.Projection { return register.Projection{Keys: [][]byte{o.key}} }

func (o *calculate) Execute(v register.View, now int64) operation.Effect {
	if err := element.Check(v.Header, register.Hash); err != nil {
		return datatype.Reply(err)
	}
	e := editOf(v, now)
	old, exists := e.stored(o.key)
	if exists && old.past(e.now) {
		old, exists = field{}, false
	}
	value, reply := o.next(old.value, exists)
	if value == nil {
		return datatype.Reply(reply)
	}
	e.put(o.key, field{value, old.expiry}.append(nil))
	return e.effect(encodingOf([][]byte{o.field, value}), reply)
}

var (
	errNotInteger = resp.Err("ERR hash value is not an integer")
	errNotFloat   = resp.Err("ERR hash value is not a float")
	errInfinite   = resp.Err("ERR value is NaN or Infinity")
	errNotFinite  = resp.Err("ERR increment would produce NaN or Infinity")
)

// IncrBy parses HINCRBY key field increment.
func IncrBy(args [][]byte) (operation.Operation, *resp.Value) {
	delta, ok := number.ParseInt(args[3])
	if !ok {
		return nil, resp.ErrNotInteger
	}
	return newCalculate(args[2], func(value []byte, exists bool) ([]byte, *resp.Value) {
		n, ok := number.ParseInt(value)
		switch {
		case exists && !ok:
			return nil, errNotInteger
		case (delta > 0 && n > math.MaxInt64-delta) || (delta < 0 && n < math.MinInt64-delta):
			return nil, resp.ErrOverflow
		}
		return strconv.AppendInt(nil, n+delta, 10), resp.Int(n + delta)
	})
}

// IncrByFloat parses HINCRBYFLOAT key field increment.
func IncrByFloat(args [][]byte) (operation.Operation, *resp.Value) {
	delta, ok := number.ParseFloat(args[3])
	if !ok {
		return nil, resp.ErrNotFloat
	}
	if _, finite := delta.Add(number.Float{}); !finite {
		return nil, errInfinite
	}
	return newCalculate(args[2], func(value []byte, exists bool) ([]byte, *resp.Value) {
		n, ok := number.ParseFloat(value)
		if exists && !ok {
			return nil, errNotFloat
		}
		sum, finite := n.Add(delta)
		if !finite {
			return nil, errNotFinite
		}
		text := sum.Append(nil)
		return text, resp.Bytes(text)
	})
}
