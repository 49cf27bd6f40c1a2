package hash_test

import (
	"strings"
	"testing"

	"synod/protocol/register"
	"synod/proxy/datatype/hash"
)

func TestBuild(t *testing.T) {
	for _, c := range []struct {
		pairs    []string
		encoding string
	}{
		{[]string{"f", "v", "g", "w"}, "listpack"},
		{[]string{strings.Repeat("f", 64), strings.Repeat("v", 64)}, "listpack"},
		{[]string{strings.Repeat("f", 65), "v"}, "hashtable"},
		{[]string{"f", strings.Repeat("v", 65)}, "hashtable"},
	} {
		var pairs [][]byte
		for _, p := range c.pairs {
			pairs = append(pairs, []byte(p))
		}
		h, ops := hash.Build(pairs, nil)
		v := register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
		items, _ := hash.Items(v)
		if hash.Encoding(h) != c.encoding || h.Type != register.Hash || int(h.Size) != len(pairs)/2 || len(items) != len(pairs) {
			t.Errorf("%.100q: %.100q as %s, %d fields", c.pairs, items, hash.Encoding(h), h.Size)
		}
		values := map[string]string{}
		for i := 0; i < len(items); i += 2 {
			values[string(items[i])] = string(items[i+1])
		}
		for i := 0; i < len(c.pairs); i += 2 {
			if values[c.pairs[i]] != c.pairs[i+1] {
				t.Errorf("%s holds %q", c.pairs[i], values[c.pairs[i]])
			}
		}
	}
}
