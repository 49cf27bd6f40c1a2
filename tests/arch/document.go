package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// Metrics returns the names of the project's Prometheus metrics and where each is
// declared: literals that begin with "synod_" where a metric is described, and
// arguments of the functions that put such a beginning before them.
func (t *Tree) Metrics() map[string]token.Pos {
	found := make(map[string]token.Pos)
	for _, files := range t.Packages() {
		prefixes := make(map[string]string) // by function
		for _, f := range files {
			if !f.Test() && f.local("github.com/prometheus/client_golang/prometheus") != "" {
				f.metricPrefixes(prefixes)
			}
		}
		for _, f := range files {
			if f.Test() || f.local("github.com/prometheus/client_golang/prometheus") == "" {
				continue
			}
			ast.Inspect(f.Syntax, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 {
					prefix, known := prefixes[calledName(call)]
					if name, ok := text(call.Args[0]); ok && (known || strings.HasPrefix(name, "synod_")) {
						found[prefix+name] = call.Pos()
					}
				}
				if pair, ok := n.(*ast.KeyValueExpr); ok {
					if name, ok := text(pair.Value); ok && strings.HasPrefix(name, "synod_") {
						found[name] = pair.Pos()
					}
				}
				return true
			})
		}
	}
	return found
}

// MetricLabels returns the values of labels that are literals, and where: what is
// given, behind a description, to the functions that send metrics.
func (t *Tree) MetricLabels() map[string]token.Pos {
	found := make(map[string]token.Pos)
	for _, f := range t.Files {
		if f.Test() || f.local("github.com/prometheus/client_golang/prometheus") == "" {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			first, ok := call.Args[0].(*ast.Ident)
			if !ok || !strings.HasPrefix(first.Name, "desc") && !strings.HasSuffix(first.Name, "Desc") {
				return true
			}
			for _, arg := range call.Args[2:] {
				if label, ok := text(arg); ok {
					found[label] = call.Pos()
				}
			}
			return true
		})
	}
	return found
}

// metricPrefixes notes the functions of a file that make a metric's name out of
// "synod_…" and an argument.
func (f *File) metricPrefixes(prefixes map[string]string) {
	note := func(name string, body ast.Node) {
		ast.Inspect(body, func(n ast.Node) bool {
			if sum, ok := n.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
				if prefix, ok := text(sum.X); ok && strings.HasPrefix(prefix, "synod_") {
					prefixes[name] = prefix
				}
			}
			return true
		})
	}
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, right := range n.Rhs {
				if literal, ok := right.(*ast.FuncLit); ok && i < len(n.Lhs) {
					if name, ok := n.Lhs[i].(*ast.Ident); ok {
						note(name.Name, literal)
					}
				}
			}
		case *ast.FuncDecl:
			if n.Body != nil && len(n.Body.List) == 1 { // others contain such a function
				note(n.Name.Name, n.Body)
			}
		}
		return true
	})
}

var errorCode = regexp.MustCompile(`^-?([A-Z]{3,}) `)

// ErrorCodes returns the codes with which error replies begin, and where: literals
// that are given to resp.Err and resp.Errf.
func (t *Tree) ErrorCodes() map[string]token.Pos {
	found := make(map[string]token.Pos)
	for _, f := range t.Files {
		if f.Test() || !matchesAny([]string{"proxy/...", "protocol/resp"}, f.Package()) {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || calledName(call) != "Err" && calledName(call) != "Errf" {
				return true
			}
			first := call.Args[0]
			for sum, ok := first.(*ast.BinaryExpr); ok; sum, ok = first.(*ast.BinaryExpr) {
				first = sum.X
			}
			if literal, ok := text(first); ok {
				if m := errorCode.FindStringSubmatch(literal); m != nil {
					found[m[1]] = call.Pos()
				}
			}
			return true
		})
	}
	return found
}

// calledName returns the name of the function that is called, without what it is
// selected from.
func calledName(call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		return fn.Sel.Name
	}
	return ""
}

func text(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(literal.Value)
	return s, err == nil
}

var (
	metricName = regexp.MustCompile(`\bsynod_[a-z_]+\b`)
	metricRow  = regexp.MustCompile("(?m)^\\| `(synod_[a-z_]+)` \\| (?:counter|gauge|histogram), ")
	codeRow    = regexp.MustCompile("(?m)^\\| ((?:`[A-Z]+(?: [^`]*)?`(?:, )?)+) \\|")
	codeName   = regexp.MustCompile("`([A-Z]+)")
)

// documentedMetrics returns the metrics that a page has a row for, and all that it
// names.
func documentedMetrics(page string) (rows, named map[string]bool) {
	rows, named = make(map[string]bool), make(map[string]bool)
	for _, m := range metricRow.FindAllStringSubmatch(page, -1) {
		rows[m[1]] = true
	}
	for _, name := range metricName.FindAllString(page, -1) {
		named[name] = true
	}
	return rows, named
}

// documentedCodes returns the error codes that a page has rows for.
func documentedCodes(page string) map[string]bool {
	codes := make(map[string]bool)
	for _, row := range codeRow.FindAllStringSubmatch(page, -1) {
		for _, m := range codeName.FindAllStringSubmatch(row[1], -1) {
			codes[m[1]] = true
		}
	}
	return codes
}
