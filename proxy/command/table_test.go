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

func TestCommandListings(t *testing.T) {
	m := newMachine(t)
	if n := m.text("COMMAND", "COUNT").Int; int(n) != len(All()) || n != int64(len(m.text("COMMAND").Elems)) {
		t.Errorf("COMMAND COUNT says %d of %d", n, len(All()))
	}
	all := 0
	walk(All(), func(*Spec) { all++ })
	if n := len(m.text("COMMAND", "LIST").Elems); n != all {
		t.Errorf("COMMAND LIST has %d of %d", n, all)
	}
	if n := len(m.text("COMMAND", "DOCS").Elems); n != 2*len(All()) {
		t.Errorf("COMMAND DOCS has %d of %d", n, 2*len(All()))
	}
	for args, want := range map[string]int{"aclcat bitmap": 6, "ACLCAT nope": 0, "module x": 0, "pattern EXPIRE*": 3} {
		request := append([]string{"COMMAND", "LIST", "FILTERBY"}, strings.Fields(args)...)
		if n := len(m.text(request...).Elems); n != want {
			t.Errorf("COMMAND LIST FILTERBY %s has %d, want %d", args, n, want)
		}
	}
	for _, args := range []string{"x", "filterby", "filterby pattern", "filterby x y", "filterby pattern x y"} {
		request := append([]string{"COMMAND", "LIST"}, strings.Fields(args)...)
		if r := m.text(request...); !r.IsError() || string(r.Str) != "ERR syntax error" {
			t.Errorf("COMMAND LIST %s: %s", args, r.Str)
		}
	}
}

func TestKeys(t *testing.T) {
	for request, want := range map[string]string{
		"GET k": "k", "MGET a b c": "a b c", "LCS a b LEN": "a b", "OBJECT ENCODING k": "k", "PING": "", "DEL a": "a",
	} {
		args := splitWords(t, request)
		s, _ := Resolve(args)
		var got []string
		for _, k := range s.Keys(args) {
			got = append(got, string(k))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: keys %q, want %q", request, got, want)
		}
	}
}
