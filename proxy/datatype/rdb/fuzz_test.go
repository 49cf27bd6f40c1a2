package rdb

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"

	"synod/protocol/register"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/stream"
	"synod/proxy/datatype/zset"
)

func texts(items ...string) [][]byte {
	var out [][]byte
	for _, s := range items {
		out = append(out, []byte(s))
	}
	return out
}

// samples are values of every type and encoding that we write.
func samples() []Value {
	return []Value{
		{Type: register.String, Text: []byte("12345")},
		{Type: register.String, Text: bytes.Repeat([]byte("abc"), 40)},
		{Type: register.List, Items: texts("a", "-1", "", "127", "128", "4095", "4096", "-4096", "70000", "8388608", "5000000000", "-9223372036854775808")},
		{Type: register.List, Items: [][]byte{make([]byte, 63), make([]byte, 64), make([]byte, 4095), make([]byte, 4096), make([]byte, 9000)}},
		{Type: register.Set, Items: texts("a", "b", "")},
		{Type: register.Set, Items: texts("-70000", "1", "5"), Compact: true},
		{Type: register.Hash, Items: texts("f", "v", "g", "5")},
		{Type: register.Hash, Items: texts("f", "v", "g", "5"), Compact: true},
		{Type: register.Hash, Items: texts("f", "v", "g", "5", "h", ""), Expiries: []int64{1 << 41, 0, 1<<41 - 70_000}},
		{Type: register.SortedSet, Members: []zset.Member{{Name: []byte("a"), Score: math.Inf(-1)}, {Name: []byte("b"), Score: 1.5}}},
		{Type: register.SortedSet, Members: []zset.Member{{Name: []byte("a"), Score: math.Inf(-1)}, {Name: []byte("b"), Score: 0.1}}, Compact: true},
		{Type: register.Stream, Stream: sampleStream()},
	}
}

func sampleStream() stream.Value {
	s := stream.Value{Last: stream.ID{MS: 300, Seq: 1}, First: stream.ID{MS: 1, Seq: 1}, MaxDeleted: stream.ID{MS: 2}, Added: 300}
	for i := range 230 {
		fields := texts("a", "1", "b", "text")
		if i%50 == 7 {
			fields = texts("other", "2")
		}
		s.Entries = append(s.Entries, stream.Entry{ID: stream.ID{MS: uint64(1 + i), Seq: 1}, Fields: fields})
	}
	s.Groups = []stream.Group{{
		Name: []byte("g"), Last: stream.ID{MS: 9, Seq: 1}, Read: -1,
		Pending:   []stream.Pending{{ID: stream.ID{MS: 3, Seq: 1}, Consumer: []byte("c"), Time: 77, Count: 2}, {ID: stream.ID{MS: 4, Seq: 1}, Consumer: []byte("d"), Time: 78, Count: 1}},
		Consumers: []stream.Consumer{{Name: []byte("c"), Seen: 5, Active: 5}, {Name: []byte("d"), Seen: 6, Active: 6}, {Name: []byte("e"), Seen: 7, Active: 7}},
	}}
	return s
}

// comparable converts a value so that equal values compare equal.
func comparable(v Value) Value {
	v.Compact = false
	v.Members = slices.SortedFunc(slices.Values(v.Members), zset.Compare)
	if v.Type == register.Set {
		v.Items = slices.SortedFunc(slices.Values(v.Items), bytes.Compare)
	}
	return v
}

func TestAllTypesComeBack(t *testing.T) {
	for _, v := range samples() {
		got, err := parse(Dump(v))
		if err != nil || !reflect.DeepEqual(comparable(got), comparable(v)) {
			t.Errorf("%v, %v:\n got %.500v\nwant %.500v", v.Type, err, comparable(got), comparable(v))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range samples() {
		f.Add(Dump(v))
	}
	for _, old := range []string{
		"\x01\x02\x01a\xc0\x05", "\x03\x03\x01a\x011\x01b\xfe\x01c\xff", "\x09\x0a\x02\x01a\x01\x00x\x01b\x00\x02\xff",
		"\x0a\x0f\x0f\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf2\x02\xfe\xff\xff", "\x14\x0d\x0d\x00\x00\x00\x02\x00\x81a\x02\x05\x01\xff",
	} {
		f.Add([]byte(old))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, _ = Verify(payload)
		v, err := Parse(payload)
		if err != nil {
			return
		}
		again, err := parse(Dump(v))
		if err != nil || !reflect.DeepEqual(comparable(again), comparable(v)) {
			t.Errorf("%v came back as %v, %v", comparable(v), comparable(again), err)
		}
	})
}

// fuzzItems fuzzes a decoder of items. If there is a writer, it must encode
// what the decoder accepted so that it decodes to the same items.
func fuzzItems(f *testing.F, decode func(*reader, []byte) [][]byte, encode func([][]byte) []byte, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r reader
		items := decode(&r, b)
		if r.err != nil || encode == nil {
			return
		}
		var again reader
		if back := decode(&again, encode(items)); again.err != nil || !reflect.DeepEqual(back, items) {
			t.Errorf("%q came back as %q, %v", items, back, again.err)
		}
	})
}

func FuzzListpack(f *testing.F) {
	fuzzItems(f, (*reader).listpack, listpackOf, string(listpackOf(samples()[2].Items)), string(listpackOf(samples()[3].Items)), "\x07\x00\x00\x00\x00\x00\xff")
}

func FuzzZiplist(f *testing.F) {
	fuzzItems(f, (*reader).ziplist, nil, "\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff", "\x0f\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf2\x02\xfe\xff\xff",
		"\x1f\x00\x00\x00\x14\x00\x00\x00\x03\x00\x00\x03abc\x05\xc0\x39\x30\x04\xe0\x00\x00\x00\x00\x00\x00\x00\x80\xff")
}

func FuzzZipmap(f *testing.F) {
	fuzzItems(f, (*reader).zipmap, nil, "\x02\x01a\x01\x00x\x01b\x00\x02\x00\x00\xff", "\xfe\xfe\x01\x00\x00\x00a\x01\x00x\xff")
}

func FuzzInts(f *testing.F) {
	encode := func(items [][]byte) []byte { return appendInts(nil, items) }
	fuzzItems(f, (*reader).ints, encode, string(encode(texts("-5", "7"))), string(encode(texts("-70000", "7"))), string(encode(texts("-5", "9223372036854775807"))))
}

func FuzzScore(f *testing.F) {
	f.Add("1.5")
	f.Add("-inf")
	f.Fuzz(func(t *testing.T, text string) {
		var r reader
		score := r.score([]byte(text))
		if want, ok := number.ParseBound([]byte(text)); r.err == nil && (!ok || want != score) {
			t.Errorf("%q: %v", text, score)
		}
	})
}

// TestClaimsDoNotAllocate checks that counts and lengths beyond the input fail
// at once.
func TestClaimsDoNotAllocate(t *testing.T) {
	huge := "\x81\x7f\xff\xff\xff\xff\xff\xff\xff"
	for kind := range byte(22) {
		value := append([]byte{kind}, huge...)
		if n := testing.AllocsPerRun(1, func() {
			if _, err := Parse(value); err == nil {
				t.Errorf("type %d: no error", kind)
			}
		}); n > 40 {
			t.Errorf("type %d: %v allocations", kind, n)
		}
	}
}
