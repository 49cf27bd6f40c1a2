package rdb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/register"
)

// dumps are what DUMP of Redis 7.0.15 answers.
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
		"\x00\xc3\x04\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x00a\xe0\xff", // claims more than LZF can make of it
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
