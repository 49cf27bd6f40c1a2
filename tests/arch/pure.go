package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
)

// pure are packages without I/O. The simulator drives them with a scheduler of
// its own, so everything that could differ between two runs of one seed comes
// from outside.
var pure = []string{
	"protocol/caspaxos/...", "protocol/layout", "protocol/listing", "protocol/operation", "protocol/partition", "protocol/register", "protocol/resp", "protocol/wire",
	"proxy/datatype/...", "proxy/txn", "meta/placement",
}

const whyPure = "code without I/O is what the simulator can replay from a seed: it takes an event and a time, and returns messages and changes"

// impure are the packages of the standard library that pure code leaves alone.
var impure = []string{
	"crypto/rand", "io/ioutil", "log", "log/slog", "math/rand/v2", "net", "net/http", "os", "os/exec", "os/signal",
	"path/filepath", "runtime", "runtime/debug", "syscall",
}

// seeded are the packages whose randomness comes from a seed: they may import
// what makes numbers of one.
var seeded = map[string]string{"proxy/datatype/element": "math/rand/v2"}

// clocks are the functions of package time that read or wait for the clock.
var clocks = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until"}

func checkPure(t *Tree, report func(token.Pos, string, string)) {
	for _, f := range t.Files {
		if f.Test() || !matchesAny(pure, f.Package()) {
			continue
		}
		for imported, at := range f.Imports() {
			if slices.Contains(impure, imported) && seeded[f.Package()] != imported {
				report(at, fmt.Sprintf("%s imports %s", f.Package(), imported), whyPure)
			}
		}
		clock := f.local("time")
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				report(n.Pos(), f.Package()+" starts a goroutine", whyPure)
			case *ast.SelectStmt:
				report(n.Pos(), f.Package()+" selects on channels", whyPure)
			case *ast.SelectorExpr:
				if n.Sel.Name == "Go" {
					report(n.Pos(), f.Package()+" starts a goroutine", whyPure)
				}
				if name, ok := selected(n, clock); ok && slices.Contains(clocks, name) {
					report(n.Pos(), fmt.Sprintf("%s uses time.%s", f.Package(), name), whyPure)
				}
			}
			return true
		})
	}
}

// selected returns x of an expression pkg.x, where pkg is the local name of a
// package.
func selected(n ast.Node, pkg string) (string, bool) {
	s, ok := n.(*ast.SelectorExpr)
	if !ok || pkg == "" {
		return "", false
	}
	id, ok := s.X.(*ast.Ident)
	return s.Sel.Name, ok && id.Name == pkg
}

// checkSleep refuses time.Sleep, except within a bubble of testing/synctest,
// where it takes no time and hides no race.
func checkSleep(t *Tree, report func(token.Pos, string, string)) {
	const why = "a sleep is too short on a slow machine, too long on all others, and cannot be interrupted: wait for the event itself (a channel, a condition with a deadline, testing/synctest)"
	for _, files := range t.Packages() {
		own := bubbles(files)
		for _, f := range files {
			clock, bubble := f.local("time"), f.local("testing/synctest")
			ast.Inspect(f.Syntax, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if name, ok := selected(call.Fun, bubble); ok && name == "Test" {
						return false
					}
					if id, ok := call.Fun.(*ast.Ident); ok && own[id.Name] {
						return false
					}
				}
				if name, ok := selected(n, clock); ok && name == "Sleep" {
					report(n.Pos(), "time.Sleep", why)
				}
				return true
			})
		}
	}
}

// bubbles returns the functions of a package that pass a function they are
// given on to synctest.Test.
func bubbles(files []*File) map[string]bool {
	found := make(map[string]bool)
	for _, f := range files {
		bubble := f.local("testing/synctest")
		for _, d := range f.Syntax.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				name, ok := selected(call.Fun, bubble)
				if _, passes := call.Args[len(call.Args)-1].(*ast.Ident); ok && passes && name == "Test" {
					if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
						found[fn.Name.Name] = true
					}
				}
				return true
			})
		}
	}
	return found
}

// checkErrorTexts refuses decisions by what an error says.
func checkErrorTexts(t *Tree, report func(token.Pos, string, string)) {
	const why = "texts change without notice: errors are told apart by sentinel or type (errors.Is, errors.As)"
	for _, f := range t.Files {
		if f.Test() {
			continue
		}
		text := f.local("strings")
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name, ok := selected(n.Fun, text)
				if ok && slices.Contains([]string{"Contains", "HasPrefix", "HasSuffix", "EqualFold", "Index"}, name) && slices.ContainsFunc(n.Args, errorText) {
					report(n.Pos(), "an error's text is searched", why)
				}
			case *ast.BinaryExpr:
				literal := isLiteral(n.X) || isLiteral(n.Y)
				if (n.Op == token.EQL || n.Op == token.NEQ) && literal && (errorText(n.X) || errorText(n.Y)) {
					report(n.Pos(), "an error's text is compared", why)
				}
			}
			return true
		})
	}
}

func errorText(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return false
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Error"
}

func isLiteral(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING && lit.Value != strconv.Quote("")
}

// checkGlobalLoggers refuses logs that nobody handed down.
func checkGlobalLoggers(t *Tree, report func(token.Pos, string, string)) {
	const why = "loggers are passed down: a test, or the second proxy of a process, then has its own"
	for _, f := range t.Files {
		logger := f.local("go.uber.org/zap")
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			if name, ok := selected(n, logger); ok && slices.Contains([]string{"L", "S", "ReplaceGlobals"}, name) {
				report(n.Pos(), "zap."+name, why)
			}
			return true
		})
		if at, ok := f.Imports()["log"]; ok && !f.Test() {
			report(at, f.Package()+" imports log", why)
		}
	}
}
