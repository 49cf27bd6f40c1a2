package command

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"synod/proxy/datatype/glob"
)

// bulks returns the strings of an array or set of strings.
func bulks(reply []byte) []string {
	var out []string
	in := reply[bytes.IndexByte(reply, '\n')+1:]
	for len(in) > 0 {
		var n int
		head, rest, _ := bytes.Cut(in, []byte("\r\n"))
		_, _ = fmt.Sscanf(string(head), "$%d", &n)
		out = append(out, string(rest[:n]))
		in = rest[n+2:]
	}
	slices.Sort(out)
	return out
}

func randomText(r *rand.Rand, alphabet string, most int) string {
	b := make([]byte, r.IntN(most+1))
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func TestGlobIsRedis(t *testing.T) {
	p := startRedis(t).dial(2, 0)
	r := rand.New(rand.NewPCG(7, 7))
	keys := map[string]bool{"": true, "a": true}
	for range 300 {
		keys[randomText(r, "abc-]\\^*[\x80\xff", 6)] = true
	}
	for k := range keys {
		p.text("SET", k, "")
	}
	for range 3000 {
		pattern := randomText(r, "aabc***??[[]]^--\\\x80\xff", 9)
		if pattern == "*" {
			continue // Redis does not call its matcher then
		}
		want := bulks(p.text("KEYS", pattern))
		var got []string
		for k := range keys {
			if glob.Match([]byte(pattern), []byte(k)) {
				got = append(got, k)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("%q matches\n     %q\nwant %q", pattern, got, want)
		}
	}
}

func TestGlobFoldIsRedis(t *testing.T) {
	p := startRedis(t).dial(2, 0)
	r := rand.New(rand.NewPCG(8, 8))
	m := newMachine(t)
	mine := bulks(m.text("COMMAND", "LIST").AppendTo(nil, 2))
	for range 1000 {
		pattern := randomText(r, "aAEeGgsStT***?[[]]^-\\|", 7)
		want := bulks(p.text("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern))
		want = slices.DeleteFunc(want, func(name string) bool { return newer[name] || !slices.Contains(mine, name) })
		got := bulks(m.text("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern).AppendTo(nil, 2))
		got = slices.DeleteFunc(got, func(name string) bool { return newer[name] })
		if !slices.Equal(got, want) {
			t.Fatalf("%q matches\n     %q\nwant %q", pattern, got, want)
		}
	}
}

func TestGlobManyStarsIsRedis(t *testing.T) {
	p := startRedis(t).dial(2, 0)
	key := strings.Repeat("a", 3000)
	p.text("SET", key, "")
	for _, n := range []int{999, 1000, 1001, 2000} {
		for _, end := range []string{"", "*", "**"} {
			pattern := strings.Repeat("*a", n) + end
			want := len(bulks(p.text("KEYS", pattern))) == 1
			if got := glob.Match([]byte(pattern), []byte(key)); got != want {
				t.Errorf("%d stars, then %q: %v, want %v", n, end, got, want)
			}
		}
	}
}
