package rdb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/register"
)

// dumps are DUMP replies of Redis 7.0.15.
var dumps = []struct{ value, dump string }{
	{strings.Repeat("abc", 10), "00c30b1e0361626361e00f020162630a008874be6d67e59d2a"},
	{strings.Repeat("abc", 500), "00c31a45dc0361626361e0ff02e1ff07e1ff07e1ff07e1ff07e1a5070162630a009bfe23e9ff03389c"},
}

func TestDumpIsRedis(t *testing.T) {
	for _, c := range dumps {
		if got := hex.EncodeToString(dumpText([]byte(c.value))); got != c.dump {
			t.Errorf("%.20q:\n got %s\nwant %s", c.value, got, c.dump)
		}
	}
}

func dumpText(s []byte) []byte { return Dump(Value{Type: register.String, Text: s}) }

func parse(payload []byte) (Value, error) {
	value, err := Verify(payload)
	if err != nil {
		return Value{}, err
	}
	return Parse(value)
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := []string{"", "0", "-1", "127", "128", "-128", "-129", "32768", "2147483647", "2147483648", "-2147483649", "007", "x"}
	for n := range 40 {
		b := make([]byte, 1<<(n%18))
		for i := range b {
			b[i] = byte(r.IntN(1 + n*6))
		}
		values = append(values, string(b))
	}
	for _, v := range values {
		got, err := parse(dumpText([]byte(v)))
		if err != nil || string(got.Text) != v {
			t.Errorf("%.20q came back as %.20q, %v", v, got.Text, err)
		}
	}
}

func TestIntegersAreShort(t *testing.T) {
	for n, size := range map[int64]int{5: 3, -128: 3, 128: 4, 40000: 6, math.MinInt32: 6, math.MaxInt32 + 1: 2 + 10} {
		if got := len(dumpText(strconv.AppendInt(nil, n, 10))) - footer; got != size {
			t.Errorf("%d takes %d bytes, want %d", n, got, size)
		}
	}
}

func TestDamaged(t *testing.T) {
	good := dumpText([]byte("hello hello hello hello hello"))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := parse(bad); err == nil {
			t.Errorf("byte %d damaged: not noticed", i)
		}
	}
	for n := range good {
		if _, err := Verify(good[:n]); !errors.Is(err, ErrChecksum) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestBadFormat(t *testing.T) {
	for _, value := range []string{
		"", "\x00", "\x01\x00", "\x06\x00", "\x07\x00", "\x08\x00", "\x16\x00", "\x00\x05abc", "\x00\xc0", "\x00\xc4", "\x00\xff", "\x00\x82\x00", "\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffx",
		"\x00\xc3\x00\x00", "\x00\xc3\x02\x41\x00\x00", "\x00\xc3\x03\x05\x20\x00\x00", "\x00\xc3\x80\xff\xff\xff\xff\x80\xff\xff\xff\xffx",
		"\x00\xc3\x04\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x00a\xe0\xff", // claims more than LZF can produce from it
	} {
		v, err := Parse([]byte(value))
		s := v.Text
		if value == "\x00\xc3\x00\x00" {
			if err != nil || len(s) != 0 {
				t.Errorf("nothing, compressed: %q, %v", s, err)
			}
			continue
		}
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %q, %v", value, s, err)
		}
	}
}

func FuzzCompress(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"))
	f.Add([]byte(strings.Repeat("abcdefg", 2000)))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := compress(in)
		if c == nil {
			return
		}
		if len(c) > len(in)-4 {
			t.Errorf("%d bytes became %d", len(in), len(c))
		}
		if out, err := decompress(c, len(in)); err != nil || !bytes.Equal(out, in) {
			t.Errorf("%q came back as %q, %v", in, out, err)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte("\x03abca\xe0\x0f\x02\x01bc"), 30)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if size < 0 || size > 1<<16 {
			return
		}
		if out, err := decompress(in, size); err == nil && len(out) != size {
			t.Errorf("%d bytes, want %d", len(out), size)
		}
	})
}

// TestTimedHashes reads and writes hashes with expiring fields as Redis 7.4
// does, according to its source (rdbSaveObject, rdbLoadObject): a hash table
// whose times are stored as one more than the difference to the earliest; and a
// listpack of field, value and time, 0 for never.
func TestTimedHashes(t *testing.T) {
	const earliest = "\x10\x27\x00\x00\x00\x00\x00\x00" // 10000
	pack := func(items ...string) string {
		list := string(listpackOf(texts(items...)))
		return "\x19" + earliest + string(AppendString(nil, []byte(list)))
	}
	for _, c := range []struct {
		value, items string
		expiries     []int64
	}{
		{"\x18" + earliest + "\x03\x01\x01f\x01v\x00\x01g\x01w\x41\x2d\x01h\x01x", "f v g w h x", []int64{10000, 0, 10300}},
		{"\x18" + earliest + "\x01\x00\x01f\x01v", "f v", nil},
		{pack("f", "v", "10000", "g", "5", "10300", "h", "x", "0"), "f v g 5 h x", []int64{10000, 10300, 0}},
		{pack("f", "v", "0"), "f v", nil},
	} {
		v, err := Parse([]byte(c.value))
		if got := string(bytes.Join(v.Items, []byte(" "))); err != nil || got != c.items || v.Type != register.Hash || !slices.Equal(v.Expiries, c.expiries) {
			t.Errorf("%q: %s, %v, %v", c.value, got, v.Expiries, err)
		}
	}
	for name, value := range map[string]string{
		"no field":               "\x18" + earliest + "\x00",
		"a field twice":          "\x18" + earliest + "\x02\x00\x01f\x01v\x00\x01f\x01v",
		"a time beyond all":      "\x18" + earliest + "\x01\x81\x00\x01\x00\x00\x00\x00\x00\x00\x01f\x01v",
		"a time that wraps":      "\x18" + earliest + "\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01f\x01v",
		"an earliest beyond all": "\x18\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01f\x01v",
		"it ends early":          "\x18" + earliest + "\x7f\xff\x01",
		"a field without a time": pack("f", "v", "0", "g", "v"),
		"a time of letters":      pack("f", "v", "x"),
		"a time before all":      pack("f", "v", "-1"),
		"packed: none":           pack(),
		"packed: twice":          pack("f", "v", "0", "f", "v", "0"),
		"of before 7.4":          "\x16\x01\x00\x01f\x01v",
	} {
		if v, err := Parse([]byte(value)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	v := Value{Type: register.Hash, Items: texts("f", "v"), Expiries: []int64{10000}}
	want := "\x18" + earliest + "\x01\x01\x01f\x01v\x0c\x00"
	if got := string(Dump(v)); got[:len(got)-8] != want {
		t.Errorf("written as %q", got)
	}
	if got, err := Open(Dump(v)); err != nil || PayloadVersion(got) != MaxVersion {
		t.Errorf("opened: %q, %v", got, err)
	}
}
