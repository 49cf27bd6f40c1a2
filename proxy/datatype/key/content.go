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

// kind describes a type to the commands that work on keys of any type.
type kind struct {
	// encoding is how Redis would store a value, as shown by OBJECT ENCODING.
	encoding func(register.Header) string
	content  func(v register.View, to *rdb.Value)
	build    func(rdb.Value) (register.Header, []register.Op)
}

// collections are the types besides strings.
var collections = map[register.Type]kind{
	register.List: ofItems(list.Encoding, list.Items, list.Build),
	register.Hash: {
		encoding: hash.Encoding,
		content:  func(v register.View, to *rdb.Value) { to.Items, to.Expiries = hash.Items(v) },
		build:    func(of rdb.Value) (register.Header, []register.Op) { return hash.Build(of.Items, of.Expiries) },
	},
	register.Set: ofItems(set.Encoding, set.Items, set.Build),
	register.SortedSet: {
		encoding: zset.Encoding,
		content:  func(v register.View, to *rdb.Value) { to.Members = zset.Items(v) },
		build:    func(of rdb.Value) (register.Header, []register.Op) { return zset.Build(of.Members) },
	},
	register.Stream: {
		encoding: func(register.Header) string { return "stream" },
		content:  func(v register.View, to *rdb.Value) { to.Stream = stream.Read(v) },
		build:    func(of rdb.Value) (register.Header, []register.Op) { return stream.Build(of.Stream) },
	},
}

// ofItems is the kind of a type whose values are lists of strings.
func ofItems(encoding func(register.Header) string, items func(register.View) [][]byte, build func([][]byte) (register.Header, []register.Op)) kind {
	return kind{
		encoding: encoding,
		content:  func(v register.View, to *rdb.Value) { to.Items = items(v) },
		build:    func(of rdb.Value) (register.Header, []register.Op) { return build(of.Items) },
	}
}

// content returns the value of a register. The view must cover all of it.
func content(v register.View) rdb.Value {
	value := rdb.Value{Type: v.Header.Type}
	if k, ok := collections[value.Type]; ok {
		k.content(v, &value)
		encoding := k.encoding(v.Header)
		value.Compact = encoding == "listpack" || encoding == "listpackex" || encoding == "intset"
	} else if value.Type == register.String {
		value.Text = str.Content(v)
	}
	return value
}

// build returns the header and the operations that create a value.
func build(value rdb.Value) (register.Header, []register.Op) {
	if k, ok := collections[value.Type]; ok {
		return k.build(value)
	}
	return str.New(value.Text)
}

// encodingOf returns how Redis would store the value, as shown by OBJECT
// ENCODING. The view must cover what str.EncodingNeeds asks for.
func encodingOf(v register.View) string {
	if k, ok := collections[v.Header.Type]; ok {
		return k.encoding(v.Header)
	}
	return str.Encoding(v)
}
