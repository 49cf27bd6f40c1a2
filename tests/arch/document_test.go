package arch

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocuments compares the pages for operators with the code.
func TestDocuments(t *testing.T) {
	tree := project(t)
	metrics := tree.Metrics()
	if len(metrics) < 50 {
		t.Fatalf("only %d metrics were found", len(metrics))
	}
	page := read(t, "docs/metrics.md")
	rows, _ := documentedMetrics(page)
	for label, at := range tree.MetricLabels() {
		if !strings.Contains(page, "`"+label+"`") {
			t.Errorf("%s: label `%s` is not in docs/metrics.md", tree.position(at), label)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if !rows[name] {
			t.Errorf("%s: %s has no row in docs/metrics.md", tree.position(metrics[name]), name)
		}
	}
	for _, page := range []string{"docs/metrics.md", "docs/operations.md", "docs/errors.md"} {
		_, named := documentedMetrics(read(t, page))
		for name := range named {
			if _, there := metrics[name]; !there {
				t.Errorf("%s: there is no metric %s", page, name)
			}
		}
	}
	codes, documented := tree.ErrorCodes(), documentedCodes(read(t, "docs/errors.md"))
	for code, at := range codes {
		if !documented[code] {
			t.Errorf("%s: %s has no row in docs/errors.md", tree.position(at), code)
		}
	}
	for code := range documented {
		if _, there := codes[code]; !there {
			t.Errorf("docs/errors.md: no reply begins with %s", code)
		}
	}
}

func TestMetricsAndCodesAreFound(t *testing.T) {
	const library = `import "github.com/prometheus/client_golang/prometheus"; `
	tree, err := Parse(map[string]string{
		"storaged/a.go": `package storaged; ` + library + `
			func desc(name string) *prometheus.Desc { return prometheus.NewDesc("synod_node_"+name, "", nil, nil) }
			var a = desc("a"); var b = prometheus.NewDesc("synod_b", "", nil, nil)
			func all() { hist := func(name string) any { return prometheus.HistogramOpts{Name: "synod_h_" + name} }; hist("c"); other("x") }`,
		"storaged/b.go":      `package storaged; ` + library + `func g() { send(descA, 1, "la"); send(bDesc, 2, x, "lb"); send(b, 3, "no"); send(descA, "no") }; var d = desc("d"); var o = prometheus.CounterOpts{Name: "synod_o"}`,
		"storaged/b_test.go": `package storaged; ` + library + `var e = desc("e")`,
		"proxy/a.go":         `package proxy; func desc(string) {}; func f() { desc("x"); resp.Err("GONE away" + "!"); resp.Errf("ERR %s"); other("MADE up") }`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(slices.Sorted(maps.Keys(tree.Metrics()))); got != "[synod_b synod_h_c synod_node_a synod_node_d synod_o]" {
		t.Errorf("metrics: %s", got)
	}
	if got := fmt.Sprint(slices.Sorted(maps.Keys(tree.MetricLabels()))); got != "[la lb]" {
		t.Errorf("labels: %s", got)
	}
	if got := fmt.Sprint(slices.Sorted(maps.Keys(tree.ErrorCodes()))); got != "[ERR GONE]" {
		t.Errorf("codes: %s", got)
	}
	rows, named := documentedMetrics("`synod_y > 0`\n| `synod_x` | counter, bytes | z |\n| `synod_w` | nothing | z |\n")
	if fmt.Sprint(rows, named) != "map[synod_x:true] map[synod_w:true synod_x:true synod_y:true]" {
		t.Error(rows, named)
	}
	if got := fmt.Sprint(documentedCodes("| `A x y` | `NO` |\n| `B`, `C` | z |\n`D`\n")); got != "map[A:true B:true C:true]" {
		t.Error(got)
	}
}
