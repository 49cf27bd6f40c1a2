package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

func checkDocumentation(t *Tree, report func(token.Pos, string, string)) {
	const why = "a package says what it is for and what it promises, in one comment above its package clause"
	for pkg, files := range t.Packages() {
		var documented []*File
		var code *File
		for _, f := range files {
			if f.Test() {
				continue
			}
			code = f
			if f.Syntax.Doc != nil {
				documented = append(documented, f)
			}
		}
		switch {
		case code == nil: // tests alone
		case len(documented) == 0:
			report(code.Syntax.Package, fmt.Sprintf("package %s has no documentation", pkg), why)
		case len(documented) > 1:
			report(documented[1].Syntax.Package, fmt.Sprintf("package %s is documented twice", pkg), why)
		default:
			begin, doc := "Package "+code.Syntax.Name.Name+" ", documented[0].Syntax.Doc.Text()
			if code.Syntax.Name.Name == "main" {
				begin = "Command " + path.Base(pkg) + " "
			}
			if !strings.HasPrefix(doc, begin) {
				report(documented[0].Syntax.Package, fmt.Sprintf("the documentation of %s does not begin with %q", pkg, begin), why)
			}
		}
	}
}

// vague are names of packages that say nothing about what is in them.
var vague = []string{"base", "common", "constants", "core", "errors", "helper", "helpers", "interfaces", "lib", "manager", "misc", "models", "shared", "types", "util", "utils"}

func checkNames(t *Tree, report func(token.Pos, string, string)) {
	const why = "such a package collects whatever has no better place, and everything comes to depend on it: name the noun (glob, placement)"
	for _, f := range t.Files {
		name := strings.TrimSuffix(f.Syntax.Name.Name, "_test")
		if slices.Contains(vague, name) || slices.Contains(vague, path.Base(f.Package())) {
			report(f.Syntax.Package, fmt.Sprintf("package %s in %s", name, f.Package()), why)
		}
	}
}

const (
	fileLinesMax     = 500
	testLinesMax     = 600 // cases are read one by one
	functionLinesMax = 70
	packageLinesMax  = 3000 // without tests
)

func checkSizes(t *Tree, report func(token.Pos, string, string)) {
	const why = "nobody reads in full what does not fit on a few screens: find the part that deserves a name of its own"
	seen := make(map[string]bool)
	check := func(at token.Pos, name string, lines, most int) {
		allowed, excepted := large[name]
		switch {
		case excepted && lines <= most:
			report(at, fmt.Sprintf("%s has %d lines now", name, lines), "take it off the list of tests/arch/large.go, so that it stays small")
		case lines > max(most, allowed):
			report(at, fmt.Sprintf("%s has %d lines, at most %d", name, lines, max(most, allowed)), why)
		}
		seen[name] = true
	}
	for _, f := range t.Files {
		most := fileLinesMax
		if f.Test() {
			most = testLinesMax
		}
		check(f.Syntax.Package, f.Path, f.Lines, most)
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				code, literals := t.measure(fn)
				check(fn.Pos(), f.Path+" "+fn.Name.Name, max(code, literals), functionLinesMax)
			}
		}
	}
	for pkg, files := range t.Packages() {
		if matches("tests/...", pkg) {
			continue // tests, whatever their files are called
		}
		lines := 0
		for _, f := range files {
			if !f.Test() {
				lines += f.Lines - t.declarations(f)
			}
		}
		check(files[0].Syntax.Package, pkg, lines, packageLinesMax)
	}
	for name := range large {
		file, _, _ := strings.Cut(name, " ")
		if !seen[name] && slices.ContainsFunc(t.Files, func(f *File) bool { return f.Path == file }) {
			report(token.NoPos, name+" is no more", "take it off the list of tests/arch/large.go")
		}
	}
}

// declarations returns the lines of a file that declare commands, as tables of type
// []*Spec. They are data: proxy/command has some 3,400 such lines, and 1,200 others.
func (t *Tree) declarations(f *File) (lines int) {
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if list, ok := table.Type.(*ast.ArrayType); ok {
			if pointer, ok := list.Elt.(*ast.StarExpr); ok {
				if elem, ok := pointer.X.(*ast.Ident); ok && elem.Name == "Spec" {
					lines += t.lines(table)
					return false
				}
			}
		}
		return true
	})
	return lines
}

// measure returns the lines of a function without its tables, which are data,
// and the lines of the longest function within a table.
func (t *Tree) measure(fn ast.Node) (code, literals int) {
	code = t.lines(fn)
	ast.Inspect(fn, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		code -= t.lines(table) - 1
		ast.Inspect(table, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncLit); ok {
				inner, nested := t.measure(f.Body)
				literals = max(literals, inner, nested)
				return false
			}
			return true
		})
		return false
	})
	return code, literals
}
