package hash

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// Get parses HGET key field.
func Get(args [][]byte) (operation.Operation, *resp.Value) {
	return parseLookup(args[2:], func(l *look, v register.View, keys [][]byte) *resp.Value {
		f, exists := l.get(v, keys[0])
		if !exists {
			return resp.Nil
		}
		return resp.Bytes(f.value)
	})
}

// MGet parses HMGET key field [field ...].
func MGet(args [][]byte) (operation.Operation, *resp.Value) {
	return parseLookup(args[2:], func(l *look, v register.View, keys [][]byte) *resp.Value {
		elems := make([]resp.Value, len(keys))
		for i, key := range keys {
			elems[i] = *resp.Nil
			if f, exists := l.get(v, key); exists {
				elems[i] = bulk(f.value)
			}
		}
		return resp.List(elems...)
	})
}

// Exists parses HEXISTS key field.
func Exists(args [][]byte) (operation.Operation, *resp.Value) {
	return parseLookup(args[2:], func(l *look, v register.View, keys [][]byte) *resp.Value {
		if _, exists := l.get(v, keys[0]); exists {
			return resp.Int(1)
		}
		return resp.Int(0)
	})
}

// StrLen parses HSTRLEN key field.
func StrLen(args [][]byte) (operation.Operation, *resp.Value) {
	return parseLookup(args[2:], func(l *look, v register.View, keys [][]byte) *resp.Value {
		f, _ := l.get(v, keys[0])
		return resp.Int(int64(len(f.value)))
	})
}

// Len parses HLEN key. As in Redis, it counts expired fields until they are
// removed.
func Len([][]byte) (operation.Operation, *resp.Value) { return element.ParseSize(register.Hash) }

// GetAll parses HGETALL key.
func GetAll([][]byte) (operation.Operation, *resp.Value) {
	return whole{show: func(elems []register.Element) *resp.Value {
		return &resp.Value{Kind: resp.Map, Elems: both(elems)}
	}}, nil
}

// Keys parses HKEYS key.
func Keys([][]byte) (operation.Operation, *resp.Value) { return whole{show: fields}, nil }

// Vals parses HVALS key.
func Vals([][]byte) (operation.Operation, *resp.Value) {
	return whole{show: func(elems []register.Element) *resp.Value {
		out := make([]resp.Value, len(elems))
		for i, e := range elems {
			out[i] = bulk(parse(e.Value).value)
		}
		return resp.List(out...)
	}}, nil
}

// RandField parses HRANDFIELD key [count [WITHVALUES]].
func RandField(args [][]byte) (operation.Operation, *resp.Value) {
	if len(args) == 2 {
		return kind.ParseOne(func(elems []register.Element) *resp.Value {
			return resp.Bytes(element.Member("", elems[0].Key))
		})
	}
	n, err := element.ParseCount(args[2])
	if err != nil {
		return nil, err
	}
	switch {
	case len(args) == 3:
		return kind.ParseSample(n, 1, fields)
	case len(args) > 4 || !datatype.Is(args[3], "WITHVALUES"):
		return nil, resp.ErrSyntax
	}
	return kind.ParseSample(n, 2, func(elems []register.Element) *resp.Value {
		return &resp.Value{Kind: resp.Pairs, Elems: both(elems)}
	})
}

// Scan parses HSCAN key cursor [MATCH pattern] [COUNT count].
func Scan(args [][]byte) (operation.Operation, *resp.Value) { return kind.ParseScan(args, both) }

func bulk(b []byte) resp.Value { return resp.Value{Kind: resp.Bulk, Str: b} }

// fields lists the fields.
func fields(elems []register.Element) *resp.Value {
	return resp.List(element.Bulks(element.Members("", elems))...)
}

// both lists alternating fields and values.
func both(elems []register.Element) []resp.Value {
	out := make([]resp.Value, 0, 2*len(elems))
	for _, e := range elems {
		out = append(out, bulk(element.Member("", e.Key)), bulk(parse(e.Value).value))
	}
	return out
}
