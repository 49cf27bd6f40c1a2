package arch

import (
	"fmt"
	"go/token"
	"path"
	"strings"
)

const whyLayers = "knowledge flows down (docs/architecture.md, Layers); a package that knows those above it cannot be understood, tested or replaced alone"

// layerOf returns the number of a package's layer, from the top, or -1 if it
// has none. Test doubles belong to the layer of what they double.
func (t *Tree) layerOf(pkg string) int {
	if double(pkg) {
		pkg = path.Dir(pkg)
	}
	for i, l := range t.Layers {
		if matchesAny(l.Packages, pkg) {
			return i
		}
	}
	return -1
}

// ours returns the package of the project that an import path names.
func ours(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, module+"/")
}

func checkLayers(t *Tree, report func(token.Pos, string, string)) {
	for _, f := range t.Files {
		from := t.layerOf(f.Package())
		if from < 0 {
			report(f.Syntax.Package, fmt.Sprintf("package %s has no layer", f.Package()),
				"a package that is not on the map is hard to find: add a row to the table of layers in docs/architecture.md")
			continue
		}
		for imported, at := range f.Imports() {
			pkg, ok := ours(imported)
			if to := t.layerOf(pkg); ok && to >= 0 && to < from && !double(pkg) {
				report(at, fmt.Sprintf("%s (%s) imports %s (%s), which stands above it", f.Package(), t.Layers[from].Name, pkg, t.Layers[to].Name), whyLayers)
			}
		}
	}
}

const whyApart = "proxies and nodes are different programs, in every upgrade of different versions for a while: what both need is in protocol"

// never are imports that the layers would allow.
var never = []struct{ from, to, why string }{
	{"proxy/...", "storaged/...", whyApart},
	{"storaged/...", "proxy/...", whyApart},
	{"proxy/datatype/...", "proxy/proposer", "data types are pure functions of a state: they cannot depend on how the state is agreed on"},
	{"proxy/datatype/...", "proxy/router", "data types are pure functions of a state: they cannot depend on where it is"},
	{"storaged/datadir", "meta/store", "a data directory remembers what it is told; who is told what is the daemon's business"},
	{"storaged/engine", "meta/store", "the engine keeps what it is told to keep; who is told what is the daemon's business"},
}

func checkSides(t *Tree, report func(token.Pos, string, string)) {
	for _, f := range t.Files {
		for imported, at := range f.Imports() {
			pkg, ok := ours(imported)
			if !ok {
				continue
			}
			for _, n := range never {
				if matches(n.from, f.Package()) && matches(n.to, pkg) {
					report(at, fmt.Sprintf("%s imports %s", f.Package(), pkg), n.why)
				}
			}
		}
	}
}

// owned are libraries that only some packages may import; tests are packages
// whose test files may, too.
var owned = []struct {
	library       string
	owners, tests []string
	why           string
}{
	{"github.com/cockroachdb/pebble", []string{"storaged/content", "storaged/engine", "storaged/flushes", "storaged/pages", "storaged/nodestate", "storaged/rowcodec", "storaged/tables", "storaged/tally"}, nil,
		"data and position are atomic, and the durability rule holds, only if every write goes through the engine's batches"},
	{"go.etcd.io/etcd/client", []string{"meta/store", "meta/store/storetest", "tests/bench/..."}, nil,
		"the schema in etcd, its transactions and watches are one package's secret (the benchmark measures etcd itself)"},
	{"go.etcd.io/etcd/server", []string{"tools/synod"}, nil,
		"the embedded server drags in hundreds of packages; the root module stays lean"},
	{"github.com/tidwall/redcon", []string{"proxy/respio"}, nil,
		"redcon caps neither arguments nor sizes: its caller must guard it, as respio does"},
	{"github.com/hashicorp/yamux", []string{"protocol/rpc"}, nil,
		"traffic classes, limits and versions are set by the session layer alone"},
	{"github.com/alecthomas/kong", []string{"tools/...", "proxy/cmd/...", "storaged/cmd/..."}, nil,
		"flags belong to programs; packages take a Config"},
	{"github.com/prometheus/client_golang", []string{"protocol/admin", "proxy/server", "proxy/cluster", "proxy/proposer", "proxy/router", "storaged"}, nil,
		"code without I/O counts in plain counters, which its daemon shows to Prometheus"},
	{"math/rand", nil, nil, "math/rand/v2 replaces it; random sources are seeded and passed in where a simulator replays them"},
}

func checkOwners(t *Tree, report func(token.Pos, string, string)) {
	for _, f := range t.Files {
		for imported, at := range f.Imports() {
			for _, o := range owned {
				if imported != o.library && (!strings.HasPrefix(imported, o.library+"/") || o.library == "math/rand") {
					continue
				}
				if matchesAny(o.owners, f.Package()) || f.Test() && matchesAny(o.tests, f.Package()) {
					continue
				}
				report(at, fmt.Sprintf("%s imports %s", f.Package(), imported), o.why)
			}
		}
	}
}

// double tells whether a package stands in for real things in tests.
func double(pkg string) bool {
	base := path.Base(pkg)
	return base == "memstore" || strings.HasSuffix(base, "test")
}

func checkDoubles(t *Tree, report func(token.Pos, string, string)) {
	const why = "what stands in for real things in tests has no place in a program"
	for _, f := range t.Files {
		if f.Test() || double(f.Package()) || matches("tests/...", f.Package()) {
			continue
		}
		for imported, at := range f.Imports() {
			pkg, ok := ours(imported)
			if imported == "testing" || ok && (double(pkg) || matches("tests/...", pkg)) {
				report(at, fmt.Sprintf("%s imports %s", f.Package(), imported), why)
			}
		}
	}
}
