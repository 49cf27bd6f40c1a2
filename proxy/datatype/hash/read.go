package hash

import (
	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// Get parses HGET key field.
func Get(args [][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseLookup(register.Hash, "", args[2:], func(v register.View, keys [][]byte) *resp.Value {
		value, exists := v.Get(keys[0])
		if !exists {
			return resp.Nil
		}
		return resp.Bytes(value)
	})
}

// MGet parses HMGET key field [field ...].
func MGet(args [][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseLookup(register.Hash, "", args[2:], func(v register.View, keys [][]byte) *resp.Value {
		elems := make([]resp.Value, len(keys))
		for i, key := range keys {
			elems[i] = *resp.Nil
			if value, exists := v.Get(key); exists {
				elems[i] = bulk(value)
			}
		}
		return resp.List(elems...)
	})
}

// Exists parses HEXISTS key field.
func Exists(args [][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseLookup(register.Hash, "", args[2:], element.Exists)
}

// StrLen parses HSTRLEN key field.
func StrLen(args [][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseLookup(register.Hash, "", args[2:], func(v register.View, keys [][]byte) *resp.Value {
		value, _ := v.Get(keys[0])
		return resp.Int(int64(len(value)))
	})
}

// Len parses HLEN key.
func Len([][]byte) (caspaxos.Operation, *resp.Value) { return element.ParseSize(register.Hash) }

// GetAll parses HGETALL key.
func GetAll([][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseWhole(register.Hash, func(elems []register.Element) *resp.Value {
		return &resp.Value{Kind: resp.Map, Elems: both(elems)}
	})
}

// Keys parses HKEYS key.
func Keys([][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseWhole(register.Hash, fields)
}

// Vals parses HVALS key.
func Vals([][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseWhole(register.Hash, func(elems []register.Element) *resp.Value {
		out := make([]resp.Value, len(elems))
		for i, e := range elems {
			out[i] = bulk(e.Value)
		}
		return resp.List(out...)
	})
}

// RandField parses HRANDFIELD key [count [WITHVALUES]].
func RandField(args [][]byte) (caspaxos.Operation, *resp.Value) {
	if len(args) == 2 {
		return element.ParseOne(register.Hash, "", func(elems []register.Element) *resp.Value {
			return resp.Bytes(element.Member("", elems[0].Key))
		})
	}
	n, err := element.ParseCount(args[2])
	if err != nil {
		return nil, err
	}
	switch {
	case len(args) == 3:
		return element.ParseSample(register.Hash, "", n, 1, fields)
	case len(args) > 4 || !datatype.Is(args[3], "WITHVALUES"):
		return nil, resp.ErrSyntax
	}
	return element.ParseSample(register.Hash, "", n, 2, func(elems []register.Element) *resp.Value {
		return &resp.Value{Kind: resp.Pairs, Elems: both(elems)}
	})
}

// Scan parses HSCAN key cursor [MATCH pattern] [COUNT count].
func Scan(args [][]byte) (caspaxos.Operation, *resp.Value) {
	return element.ParseScan(args, register.Hash, "", both)
}

func bulk(b []byte) resp.Value { return resp.Value{Kind: resp.Bulk, Str: b} }

// fields lists the fields.
func fields(elems []register.Element) *resp.Value {
	return resp.List(element.Bulks(element.Members("", elems))...)
}

// both lists fields and values in turn.
func both(elems []register.Element) []resp.Value { return element.Bulks(items(elems)) }
