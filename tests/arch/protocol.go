package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// protocolPage is the contract whose sections the code cites.
const protocolPage = "docs/protocol.md"

var (
	sectionHead = regexp.MustCompile(`^#{2,3} (\d+(?:\.\d+)*)\.? `)
	sectionItem = regexp.MustCompile(`^(\d+)\. `)
	anyHead     = regexp.MustCompile(`^#{1,6} `)
	citation    = regexp.MustCompile(`§(\d+(?:\.\d+)*)`)
	testName    = regexp.MustCompile("`(Test[A-Z]\\w*)`")
	traceName   = regexp.MustCompile(`"([^"]+)"`)
	profileName = regexp.MustCompile("runs of `(\\w+)`")
)

// sections returns the numbers of a page's sections, and of the items of numbered
// lists in them: item 3 of the list in 4.2 is 4.2.3.
func sections(page string) map[string]bool {
	found := make(map[string]bool)
	in := ""
	for line := range strings.Lines(page) {
		if m := sectionHead.FindStringSubmatch(line); m != nil {
			in = m[1]
			found[in] = true
		} else if anyHead.MatchString(line) {
			in = ""
		} else if m := sectionItem.FindStringSubmatch(line); m != nil && in != "" {
			found[in+"."+m[1]] = true
		}
	}
	return found
}

// checkCitations reports sections that files cite and the protocol lacks.
func checkCitations(t *Tree, report func(string)) {
	there := sections(t.Pages[protocolPage])
	check := func(name, text string) {
		line := 0
		for s := range strings.Lines(text) {
			line++
			for _, m := range citation.FindAllStringSubmatch(s, -1) {
				if !there[m[1]] {
					report(fmt.Sprintf("%s:%d: §%s is no section of %s", name, line, m[1], protocolPage))
				}
			}
		}
	}
	for _, f := range t.Files {
		if !matches("tests/arch", f.Package()) {
			check(f.Path, f.Text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Pages)) {
		check(name, t.Pages[name])
	}
}

// ruleSwitch is a constant by which tests omit a safety rule.
type ruleSwitch struct {
	name, comment string
	pos           token.Pos
}

// ruleSwitches returns the switches of the protocol and of the storage node:
// constants of a type called Rules or rules.
func (t *Tree) ruleSwitches() (all []ruleSwitch) {
	for _, f := range t.Files {
		if f.Test() || !matchesAny([]string{"protocol/caspaxos/...", "storaged/..."}, f.Package()) {
			continue
		}
		for _, d := range f.Syntax.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			is := false
			for _, s := range decl.Specs {
				spec := s.(*ast.ValueSpec)
				if spec.Type != nil || spec.Values != nil {
					of, ok := spec.Type.(*ast.Ident)
					is = ok && strings.EqualFold(of.Name, "rules")
				}
				for _, id := range spec.Names {
					if is && id.Name != "ruleEnd" {
						all = append(all, ruleSwitch{id.Name, spec.Comment.Text(), id.Pos()})
					}
				}
			}
		}
	}
	return all
}

// shownBy returns what tests/sim says of how each switch is shown: a trace in
// quotes, or a profile.
func (t *Tree) shownBy() map[string][]string {
	found := make(map[string][]string)
	for _, f := range t.Files {
		if !f.Test() || !matches("tests/sim", f.Package()) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			entry, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			fields := make(map[string]ast.Expr)
			for _, e := range entry.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok {
						fields[key.Name] = pair.Value
					}
				}
			}
			rule, ok := fields["rule"].(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if trace, ok := text(fields["trace"]); ok {
				found[rule.Sel.Name] = append(found[rule.Sel.Name], strconv.Quote(trace))
			}
			if profile, ok := fields["profile"].(*ast.Ident); ok {
				found[rule.Sel.Name] = append(found[rule.Sel.Name], "runs of `"+profile.Name+"`")
			}
			return true
		})
	}
	return found
}

// declared returns the functions of tests, variables that hold one (as profiles
// do) included, and the names of traces: literals of
// tests/sim that are a name, and transcripts by the name of their file.
func (t *Tree) declared() (functions, traces map[string]bool) {
	functions, traces = make(map[string]bool), make(map[string]bool)
	for _, f := range t.Files {
		if f.Test() || matches("tests/sim", f.Package()) {
			for _, d := range f.Syntax.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil {
						functions[d.Name.Name] = true
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						if s, ok := s.(*ast.ValueSpec); ok {
							for _, name := range s.Names {
								functions[name.Name] = true
							}
						}
					}
				}
			}
		}
		if !matches("tests/sim", f.Package()) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			if pair, ok := n.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "name" {
					if name, ok := text(pair.Value); ok {
						traces[name] = true
					}
				}
			}
			return true
		})
	}
	return functions, traces
}

// checkSwitches compares the tables of rule switches with the code: each switch
// has one row, each row a switch, sections that exist and among them the one that
// the constant's comment cites, and a trace, profile or test that exists and that
// the simulator's own table names.
func checkSwitches(t *Tree, report func(string)) {
	page := t.Pages[protocolPage]
	there, shown := sections(page), t.shownBy()
	functions, traces := t.declared()
	rows := make(map[string][]string)
	for _, cells := range tableRows(page, "rule", "section", "what it says", "shown by") {
		name := strings.Trim(cells[0], "`")
		if rows[name] != nil {
			report(fmt.Sprintf("%s: %s has two rows", protocolPage, name))
		}
		rows[name] = cells
	}
	for _, s := range t.ruleSwitches() {
		cells := rows[s.name]
		delete(rows, s.name)
		if cells == nil {
			report(fmt.Sprintf("%s: %s has no row in %s", t.position(s.pos), s.name, protocolPage))
			continue
		}
		var own []string
		for _, m := range citation.FindAllStringSubmatch(cells[1], -1) {
			if own = append(own, m[1]); !there[m[1]] {
				report(fmt.Sprintf("%s: the row of %s names §%s, which does not exist", protocolPage, s.name, m[1]))
			}
		}
		if len(own) == 0 {
			report(fmt.Sprintf("%s: the row of %s names no section", protocolPage, s.name))
		}
		if m := citation.FindStringSubmatch(s.comment); m != nil && !slices.Contains(own, m[1]) {
			report(fmt.Sprintf("%s: %s cites §%s, its row in %s does not", t.position(s.pos), s.name, m[1], protocolPage))
		}
		checkShown(s.name, cells[3], shown[s.name], functions, traces, report)
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		report(fmt.Sprintf("%s: there is no switch %s", protocolPage, name))
	}
}

// checkShown looks at the last column of a switch's row.
func checkShown(name, cell string, shown []string, functions, traces map[string]bool, report func(string)) {
	any := false
	look := func(pattern *regexp.Regexp, what string, there map[string]bool) {
		for _, m := range pattern.FindAllStringSubmatch(cell, -1) {
			if any = true; !there[m[1]] {
				report(fmt.Sprintf("%s: the row of %s names the %s %q, which does not exist", protocolPage, name, what, m[1]))
			}
		}
	}
	look(testName, "test", functions)
	look(traceName, "trace", traces)
	look(profileName, "profile", functions)
	if !any {
		report(fmt.Sprintf("%s: the row of %s names neither trace nor profile nor test", protocolPage, name))
	}
	for _, s := range shown {
		if !strings.Contains(cell, s) {
			report(fmt.Sprintf("%s: the row of %s does not say that it is shown by %s", protocolPage, name, s))
		}
	}
}

// checkTraces compares the appendix with the traces of tests/sim.
func checkTraces(t *Tree, report func(string)) {
	_, traces := t.declared()
	listed := make(map[string]bool)
	for _, cells := range tableRows(t.Pages[protocolPage], "name", "trace", "closed by", "in tests/sim") {
		listed[cells[0]] = true
		if built := cells[len(cells)-1] == "yes"; built && !traces[cells[0]] {
			report(fmt.Sprintf("%s: tests/sim has no trace %q", protocolPage, cells[0]))
		} else if !built && traces[cells[0]] {
			report(fmt.Sprintf("%s: tests/sim has the trace %q by now", protocolPage, cells[0]))
		}
	}
	for _, f := range t.Files {
		if !f.Test() || !matches("tests/sim", f.Package()) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			table, ok := n.(*ast.ValueSpec)
			if !ok || len(table.Names) == 0 || table.Names[0].Name != "traceCases" {
				return true
			}
			ast.Inspect(table, func(n ast.Node) bool {
				if pair, ok := n.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "name" {
						if name, ok := text(pair.Value); ok && !listed[name] {
							report(fmt.Sprintf("%s: the trace %q is not in the appendix of %s", t.position(pair.Pos()), name, protocolPage))
						}
					}
				}
				return true
			})
			return false
		})
	}
}

// checkNamed reports tests, and files and folders of the project, that pages name
// and that do not exist.
func checkNamed(t *Tree, report func(string)) {
	functions, _ := t.declared()
	for _, name := range slices.Sorted(maps.Keys(t.Pages)) {
		for _, m := range inBackticks.FindAllStringSubmatch(t.Pages[name], -1) {
			switch word := m[1]; {
			case testName.MatchString("`" + word + "`"):
				if !functions[word] {
					report(fmt.Sprintf("%s: there is no test %s", name, word))
				}
			case ourPath.MatchString(word):
				if at := strings.TrimSuffix(word, "/..."); !t.exists(at) {
					report(fmt.Sprintf("%s: there is no %s", name, word))
				}
			}
		}
	}
}

// ourPath is what looks like a path of the project: of a folder, or of a file with
// an ending.
var ourPath = regexp.MustCompile(`^(?:proxy|storaged|protocol|meta|tests|tools|deploy|docs|findings)/[\w./-]+$`)

// exists reports whether the project has a file or folder, or a package and an
// exported name in it ("proxy/x.Start").
func (t *Tree) exists(name string) bool {
	name = strings.TrimSuffix(name, "/")
	if t.Paths[name] {
		return true
	}
	folder, base := path.Split(name)
	pkg, member, ok := strings.Cut(base, ".")
	return ok && token.IsExported(member) && t.Paths[folder+pkg]
}
