package command

import (
	"strings"
	"testing"
)

// walk calls visit for every command and subcommand.
func walk(specs []*Spec, visit func(*Spec)) {
	for _, s := range specs {
		visit(s)
		walk(s.Subcommands, visit)
	}
}

func TestEverySpecIsComplete(t *testing.T) {
	seen := map[string]bool{}
	walk(All(), func(s *Spec) {
		if seen[s.FullName] {
			t.Errorf("%s: declared twice", s.FullName)
		}
		seen[s.FullName] = true
		if s.Name != strings.ToLower(s.Name) || s.Name == "" || len(s.Name) > maxName {
			t.Errorf("%q: bad name", s.Name)
		}
		if s.Summary == "" || s.Since == "" || s.Group == "" || s.Arity == 0 {
			t.Errorf("%s: lacks documentation or arity", s.FullName)
		}
		ways := 0
		for _, has := range []bool{s.Key != nil, s.Split != nil, s.Local != nil} {
			if has {
				ways++
			}
		}
		if ways > 1 {
			t.Errorf("%s: runs in %d ways", s.FullName, ways)
		}
		keyed := s.Key != nil || s.Split != nil
		if keyed != (len(s.KeySpecs) > 0) {
			t.Errorf("%s: runs on keys: %v, has key positions: %v", s.FullName, keyed, !keyed)
		}
		if keyed && s.Has(Write) == s.Has(ReadOnly) {
			t.Errorf("%s: must be one of write and readonly", s.FullName)
		}
	})
}

func TestLookup(t *testing.T) {
	for _, name := range []string{"get", "GET", "gEt"} {
		if s := Lookup([]byte(name)); s == nil || s.Name != "get" {
			t.Errorf("Lookup(%q) = %v", name, s)
		}
	}
	for _, name := range []string{"", "ge", "gett", "mset", "client|id", strings.Repeat("g", 1000)} {
		if s := Lookup([]byte(name)); s != nil {
			t.Errorf("Lookup(%q) = %s", name, s.Name)
		}
	}
	name := []byte("INCRBYFLOAT")
	if n := testing.AllocsPerRun(100, func() { Lookup(name) }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct{ request, name, err string }{
		{"GET k", "get", ""},
		{"client ID", "client|id", ""},
		{"COMMAND", "command", ""},
		{"CLIENT", "", "ERR wrong number of arguments for 'client' command"},
		{"CLIENT FOO", "", "ERR unknown subcommand 'FOO'. Try CLIENT HELP."},
		{"client id 1", "", "ERR wrong number of arguments for 'client|id' command"},
		{"GET", "", "ERR wrong number of arguments for 'get' command"},
		{"SET k", "", "ERR wrong number of arguments for 'set' command"},
		{"MSET a b", "", "ERR unknown command 'MSET', with args beginning with: 'a' 'b' "},
	} {
		var args [][]byte
		for _, a := range strings.Fields(c.request) {
			args = append(args, []byte(a))
		}
		s, err := Resolve(args)
		switch {
		case err != nil && string(err.Str) != c.err:
			t.Errorf("%s: %s, want %q", c.request, err.Str, c.err)
		case err == nil && s.FullName != c.name:
			t.Errorf("%s: %s, want %q", c.request, s.FullName, c.name)
		}
	}
}
