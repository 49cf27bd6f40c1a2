package arch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestLayersAreRead(t *testing.T) {
	const head = "text\n\n| layer | package | what |\n|---|---|---|\n"
	for _, c := range []struct{ rows, want string }{
		{"| a | `x`, `y/...` | `no` |\n| | `z` | |\n| b | `v` | |\n\n| c | `w` | |\n", "[{a [x y/... z]} {b [v]}]"},
		{"", "error: no table of layers"},
		{"| | `x` | |\n", "error: the first row names no layer"},
		{"| a | x | |\n", "error: a row of layer \"a\" names no package"},
		{"| a | `x` | |\n| b | `x` | |\n", "error: package x stands twice"},
		{"| a | `x` | |\n| b | `y` | |\n| a | `z` | |\n", "error: layer \"a\" stands twice"},
	} {
		layers, err := parseLayers(head + c.rows)
		got := fmt.Sprint(layers)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("%q: got %s, want %s", c.rows, got, c.want)
		}
	}
	if _, err := parseLayers("| layer | other |\n|---|---|\n| a | `x` |\n"); err == nil {
		t.Error("another table was taken for that of the layers")
	}
}

// TestLayersExist finds rows whose packages are gone.
func TestLayersExist(t *testing.T) {
	for _, l := range project(t).Layers {
		for _, pattern := range l.Packages {
			if !slices.ContainsFunc(project(t).Files, func(f *File) bool { return matches(pattern, f.Package()) }) {
				t.Errorf("%s: layer %q has a row for %s, which does not exist", layersPage, l.Name, pattern)
			}
		}
	}
}

// TestLayersDecide shows that it is the page that decides what is refused.
func TestLayersDecide(t *testing.T) {
	tree, err := Parse(map[string]string{"b/x.go": `package b; import _ "synod/a"`})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		layers []Layer
		says   string
	}{
		{[]Layer{{"upper", []string{"a"}}, {"lower", []string{"b"}}}, "stands above it"},
		{[]Layer{{"upper", []string{"b"}}, {"lower", []string{"a"}}}, ""},
		{[]Layer{{"one", []string{"a", "b"}}}, ""},
		{[]Layer{{"one", []string{"a"}}}, "has no layer"},
	} {
		tree.Layers = c.layers
		found := Rule{"layers", checkLayers}.Find(tree)
		if len(found) > 0 != (c.says != "") || len(found) > 0 && !strings.Contains(found[0], c.says) {
			t.Errorf("layers %v: found %q, want %q", c.layers, found, c.says)
		}
	}
}
