package arch

import (
	"cmp"
	"fmt"
	"go/token"
	"strings"
	"sync"
	"testing"
)

var readProject = sync.OnceValues(func() (*Tree, error) { return Read("../..") })

// project returns the tree of the project. It must not be changed.
func project(t *testing.T) *Tree {
	t.Helper()
	tree, err := readProject()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestRules checks the project.
func TestRules(t *testing.T) {
	tree := project(t)
	for _, want := range []string{"protocol/caspaxos/acceptor/acceptor.go", "tools/synod/main.go", "tests/arch/arch_test.go"} {
		found := false
		for _, f := range tree.Files {
			found = found || f.Path == want
		}
		if !found {
			t.Fatalf("%s was not read: the rules look at the wrong tree", want)
		}
	}
	for _, r := range Rules {
		t.Run(r.Name, func(t *testing.T) {
			for _, v := range r.Find(tree) {
				t.Error(v)
			}
		})
	}
}

func lines(n int) string { return strings.Repeat("\n", n) }

// TestRulesCanFail shows each rule a source that breaks it, and one close to
// it that does not.
func TestRulesCanFail(t *testing.T) {
	for _, c := range broken {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			find(t, c.rule, c.file, c.bad, c.says)
			find(t, c.rule, cmp.Or(c.elsewhere, c.file), c.good, "")
		})
	}
	covered := make(map[string]bool)
	for _, c := range broken {
		covered[c.rule] = true
	}
	for _, r := range Rules {
		if !covered[r.Name] {
			t.Errorf("no test shows that rule %q can fail", r.Name)
		}
	}
}

// find checks what a rule says of one file: nothing if says is empty.
func find(t *testing.T, rule, file, source, says string) {
	t.Helper()
	tree, err := Parse(map[string]string{file: source})
	if err != nil {
		t.Fatal(err)
	}
	tree.Layers = project(t).Layers
	for _, r := range Rules {
		if r.Name != rule {
			continue
		}
		found := r.Find(tree)
		if says == "" && len(found) > 0 {
			t.Errorf("this is allowed:\n%s\nfound: %s", source, found)
		}
		if says != "" && (len(found) != 1 || !strings.Contains(found[0], says)) {
			t.Errorf("found %q in\n%s\nwant one that says %q", found, source, says)
		}
		return
	}
	t.Fatalf("there is no rule %q", rule)
}

func TestUnparsableSourceIsAnError(t *testing.T) {
	if _, err := Parse(map[string]string{"proxy/x.go": "package"}); err == nil {
		t.Error("no error for a source that is none")
	}
}

// TestLargeMayOnlyShrink shows that an entry of the list bounds its file, and
// must go once the file is small.
func TestLargeMayOnlyShrink(t *testing.T) {
	const file = "proxy/large.go"
	large[file] = 600
	t.Cleanup(func() { delete(large, file) })
	find(t, "sizes", file, "package proxy"+lines(600), "")
	find(t, "sizes", file, "package proxy"+lines(601), "at most 600")
	find(t, "sizes", file, "package proxy"+lines(500), "take it off")
	large[file+" gone"] = 100
	t.Cleanup(func() { delete(large, file+" gone") })
	find(t, "sizes", file, "package proxy"+lines(600), "is no more")
}

// TestPackagesAreBounded shows that the lines of a package are those of all its
// files, without tests and declarations of commands.
func TestPackagesAreBounded(t *testing.T) {
	const pkg = "proxy/x"
	sources := map[string]string{}
	for i := range 6 {
		sources[fmt.Sprintf("%s/%d.go", pkg, i)] = "package x" + lines(500)
		sources[fmt.Sprintf("%s/%d_test.go", pkg, i)] = "package x" + lines(500)
	}
	check := func(want string) {
		t.Helper()
		tree, err := Parse(sources)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		checkSizes(tree, func(_ token.Pos, what, _ string) { found = append(found, what) })
		if got := strings.Join(found, "\n"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check("")
	sources[pkg+"/more.go"] = "package x\nvar x = []*Spec{" + lines(300) + "}"
	check("")
	sources[pkg+"/more.go"] = "package x\nvar x = []*Other{" + lines(300) + "}"
	check("proxy/x has 3301 lines, at most 3000")
	large[pkg] = 3301
	t.Cleanup(func() { delete(large, pkg) })
	check("")
	sources[pkg+"/more.go"] = "package x"
	check("proxy/x has 3000 lines now")
}
