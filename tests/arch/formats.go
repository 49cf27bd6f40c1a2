package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	wirePage    = "docs/wire-format.md"
	storagePage = "docs/storage-format.md"
)

var (
	versionSaid = regexp.MustCompile("`wire\\.Version`, at present (\\d+)")
	magicWord   = regexp.MustCompile(`"(SYNOD\w*)"`)
)

// checkFormats compares the pages on formats with the code, as far as numbers and
// names go: the version, how many kinds of messages, outcomes and log entries there
// are, the files of a data directory and the words that files begin with.
func checkFormats(t *Tree, report func(string)) {
	wire, storage := t.Pages[wirePage], t.Pages[storagePage]
	version := ""
	if v := t.constants("protocol/wire", func(group []*ast.ValueSpec) bool { return group[0].Names[0].Name == "Version" }); len(v) == 1 {
		if lit, ok := v[0].Values[0].(*ast.BasicLit); ok {
			version = lit.Value
		}
	}
	if m := versionSaid.FindStringSubmatch(wire); m == nil || m[1] != version {
		report(fmt.Sprintf("%s does not say that wire.Version is %q", wirePage, version))
	}
	kinds := t.constants("protocol/wire", typed("Kind"))
	compareCount(report, wirePage, "kinds of messages", len(kinds), tableRows(wire, "kind", "message", "direction"))
	outcomes := t.constants("protocol/caspaxos/...", typed("Outcome"))
	sent := slices.IndexFunc(outcomes, func(s *ast.ValueSpec) bool { return s.Names[0].Name == "Unreachable" }) + 1
	compareCount(report, wirePage, "outcomes up to Unreachable", sent, tableRows(wire, "outcome", "", "with it comes"))
	entries := t.constants("protocol/wire", func(group []*ast.ValueSpec) bool { return group[0].Names[0].Name == "logAccept" })
	compareCount(report, storagePage, "kinds of log entries", len(entries), tableRows(storage, "kind", "entry", "layout"))

	words := t.words("storaged/...", "protocol/...")
	for _, cells := range tableRows(storage, "file", "what it holds") {
		for _, m := range inBackticks.FindAllStringSubmatch(cells[0], -1) {
			if name := strings.TrimSuffix(m[1], "/"); !words[name] {
				report(fmt.Sprintf("%s: nothing in storaged is called %q", storagePage, name))
			}
		}
	}
	for page, content := range map[string]string{wirePage: wire, storagePage: storage} {
		for _, m := range magicWord.FindAllStringSubmatch(content, -1) {
			if !words[m[1]] {
				report(fmt.Sprintf("%s: no file or message begins with %q", page, m[1]))
			}
		}
	}
}

// compareCount reports a table whose last number, or sum of numbers, is not that
// of the constants. A cell may have several numbers.
func compareCount(report func(string), page, what string, want int, rows [][]string) {
	got := 0
	for _, cells := range rows {
		for number := range strings.SplitSeq(cells[0], ",") {
			if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil && n == got+1 {
				got = n
			}
		}
	}
	if got != want {
		report(fmt.Sprintf("%s numbers the %s up to %d, there are %d", page, what, got, want))
	}
}

// typed selects the constants of a type that is named in their first line.
func typed(name string) func([]*ast.ValueSpec) bool {
	return func(group []*ast.ValueSpec) bool {
		of, ok := group[0].Type.(*ast.Ident)
		return ok && of.Name == name
	}
}

// constants returns the constants of the first group of a package that is selected.
func (t *Tree) constants(pkg string, selects func(group []*ast.ValueSpec) bool) []*ast.ValueSpec {
	for _, f := range t.Files {
		if f.Test() || !matches(pkg, f.Package()) {
			continue
		}
		for _, d := range f.Syntax.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			var group []*ast.ValueSpec
			for _, s := range decl.Specs {
				group = append(group, s.(*ast.ValueSpec))
			}
			if selects(group) {
				return group
			}
		}
	}
	return nil
}

// words returns the string literals of packages, tests left out.
func (t *Tree) words(packages ...string) map[string]bool {
	found := make(map[string]bool)
	for _, f := range t.Files {
		if f.Test() || !matchesAny(packages, f.Package()) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				if s, ok := text(lit); ok {
					found[s] = true
				}
			}
			return true
		})
	}
	return found
}
