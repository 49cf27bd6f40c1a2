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
	omission    = regexp.MustCompile(`(?m)^omit (\w+)`)
	noFileName  = regexp.MustCompile(`[',]`)
)

// fileOf returns the name of the transcript of a trace.
func fileOf(trace string) string {
	return strings.ReplaceAll(strings.ToLower(noFileName.ReplaceAllString(trace, "")), " ", "_")
}

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

// bare returns the name of a switch without what tells that it is one: Base is
// RuleBase, or Base of a package called rules.
func bare(name string) string { return strings.TrimPrefix(name, "Rule") }

// ruleSwitches returns the switches of the protocol and of the storage node:
// constants of a type called Rules or rules, or rules.Set.
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
					is = ok && (strings.EqualFold(of.Name, "rules") || of.Name == "Set" && path.Base(f.Package()) == "rules")
				}
				for _, id := range spec.Names {
					if is && strings.ToLower(bare(id.Name)) != "end" && id.Name != "ruleEnd" {
						all = append(all, ruleSwitch{id.Name, spec.Comment.Text(), id.Pos()})
					}
				}
			}
		}
	}
	return all
}

// shownBy returns how each switch is shown: by transcripts that omit it, in quotes,
// or by a profile that tests/sim names.
func (t *Tree) shownBy() map[string][]string {
	found := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(t.Transcripts)) {
		for _, m := range omission.FindAllStringSubmatch(t.Transcripts[name], -1) {
			found[m[1]] = append(found[m[1]], strconv.Quote(name))
		}
	}
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
			if profile, ok := fields["profile"].(*ast.Ident); ok {
				found[rule.Sel.Name] = append(found[rule.Sel.Name], "runs of `"+profile.Name+"`")
			}
			return true
		})
	}
	return found
}

// declared returns the functions of tests, and variables that hold one, as profiles
// do.
func (t *Tree) declared() map[string]bool {
	functions := make(map[string]bool)
	for _, f := range t.Files {
		if !f.Test() && !matches("tests/sim", f.Package()) {
			continue
		}
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
	return functions
}

// checkSwitches compares the tables of rule switches with the code: each switch
// has one row, each row a switch, sections that exist and among them the one that
// the constant's comment cites, and the profiles and transcripts that show it, or
// else a test that exists.
func checkSwitches(t *Tree, report func(string)) {
	page := t.Pages[protocolPage]
	there, shown := sections(page), t.shownBy()
	functions := t.declared()
	traces := make(map[string]bool)
	for name := range t.Transcripts {
		traces[name] = true
	}
	rows := make(map[string][]string)
	for _, cells := range tableRows(page, "rule", "section", "what it says", "shown by") {
		name := strings.Trim(cells[0], "`")
		if rows[bare(name)] != nil {
			report(fmt.Sprintf("%s: %s has two rows", protocolPage, name))
		}
		rows[bare(name)] = cells
	}
	for _, s := range t.ruleSwitches() {
		cells := rows[bare(s.name)]
		delete(rows, bare(s.name))
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
		checkShown(s.name, cells[3], append(shown[bare(s.name)], shown["Rule"+bare(s.name)]...), functions, traces, report)
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		report(fmt.Sprintf("%s: there is no switch %s", protocolPage, strings.Trim(rows[name][0], "`")))
	}
}

// checkShown looks at the last column of a switch's row.
func checkShown(name, cell string, shown []string, functions, traces map[string]bool, report func(string)) {
	cell = traceName.ReplaceAllStringFunc(cell, fileOf)
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

// checkTraces compares the appendix with the transcripts: a row whose trace has one
// links to it, and each transcript has a row.
func checkTraces(t *Tree, report func(string)) {
	listed := make(map[string]bool)
	for _, cells := range tableRows(t.Pages[protocolPage], "name", "trace", "closed by", "transcript") {
		file := fileOf(cells[0])
		_, built := t.Transcripts[file]
		listed[file] = true
		if linked := strings.Contains(cells[len(cells)-1], tracesFolder+"/"+file+".txt)"); built && !linked {
			report(fmt.Sprintf("%s: the trace %q has a transcript by now", protocolPage, cells[0]))
		} else if !built && linked {
			report(fmt.Sprintf("%s: there is no transcript %s", protocolPage, file))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Transcripts)) {
		if !listed[name] {
			report(fmt.Sprintf("%s/%s.txt is not in the appendix of %s", tracesFolder, name, protocolPage))
		}
	}
}

// checkNamed reports tests, targets of make, and files and folders of the project,
// that pages name and that do not exist.
func checkNamed(t *Tree, report func(string)) {
	functions := t.declared()
	for _, name := range slices.Sorted(maps.Keys(t.Pages)) {
		for _, m := range inBackticks.FindAllStringSubmatch(t.Pages[name], -1) {
			switch word := m[1]; {
			case testName.MatchString("`" + word + "`"):
				if !functions[word] {
					report(fmt.Sprintf("%s: there is no test %s", name, word))
				}
			case strings.HasPrefix(word, "make "):
				if target := strings.Fields(word)[1]; !strings.Contains("\n"+t.Makefile, "\n"+target+":") {
					report(fmt.Sprintf("%s: there is no target of `%s`", name, word))
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
