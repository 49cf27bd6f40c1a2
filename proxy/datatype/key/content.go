package key

import (
	"synod/protocol/register"
	"synod/proxy/datatype/hash"
	"synod/proxy/datatype/list"
	"synod/proxy/datatype/rdb"
	"synod/proxy/datatype/set"
	"synod/proxy/datatype/str"
	"synod/proxy/datatype/stream"
	"synod/proxy/datatype/zset"
)

// content returns the value of a register, of which the view must know all.
func content(v register.View) rdb.Value {
	value := rdb.Value{Type: v.Header.Type}
	switch value.Type {
	case register.String:
		value.Text = str.Content(v)
	case register.List:
		value.Items = list.Items(v)
	case register.Hash:
		value.Items, value.Compact = hash.Items(v), hash.Encoding(v.Header) == "listpack"
	case register.Set:
		value.Items, value.Compact = set.Items(v), set.Encoding(v.Header) == "intset"
	case register.SortedSet:
		value.Members, value.Compact = zset.Items(v), zset.Encoding(v.Header) == "listpack"
	case register.Stream:
		value.Stream = stream.Read(v)
	}
	return value
}

// build returns the header and the operations that make a value where there is
// nothing.
func build(value rdb.Value) (register.Header, []register.Op) {
	switch value.Type {
	case register.List:
		return list.Build(value.Items)
	case register.Hash:
		return hash.Build(value.Items)
	case register.Set:
		return set.Build(value.Items)
	case register.SortedSet:
		return zset.Build(value.Members)
	case register.Stream:
		return stream.Build(value.Stream)
	}
	return str.New(value.Text)
}

// encodingOf returns how Redis would hold the value, as OBJECT ENCODING puts
// it. The view must have what str.EncodingNeeds asks for.
func encodingOf(v register.View) string {
	switch v.Header.Type {
	case register.List:
		return list.Encoding(v.Header)
	case register.Hash:
		return hash.Encoding(v.Header)
	case register.Set:
		return set.Encoding(v.Header)
	case register.SortedSet:
		return zset.Encoding(v.Header)
	case register.Stream:
		return "stream"
	}
	return str.Encoding(v)
}
