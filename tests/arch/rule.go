package arch

import (
	"fmt"
	"go/token"
	"strings"
)

// Rule is one thing that holds for the whole tree.
type Rule struct {
	Name  string
	Check func(t *Tree, report func(at token.Pos, what, why string))
}

// Rules are all of them.
var Rules = []Rule{
	{"layers", checkLayers},
	{"sides", checkSides},
	{"owners of libraries", checkOwners},
	{"test doubles", checkDoubles},
	{"no I/O", checkPure},
	{"package documentation", checkDocumentation},
	{"package names", checkNames},
	{"sizes", checkSizes},
	{"sleep", checkSleep},
	{"error texts", checkErrorTexts},
	{"global loggers", checkGlobalLoggers},
}

// Find returns what breaks the rule, a line each, with its reason.
func (r Rule) Find(t *Tree) []string {
	var found []string
	r.Check(t, func(at token.Pos, what, why string) {
		found = append(found, fmt.Sprintf("%s: %s\n\twhy: %s", t.position(at), what, why))
	})
	return found
}

// matches tells whether a package is the one that a pattern names, or, with
// "/..." at the pattern's end, is below it as well.
func matches(pattern, pkg string) bool {
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == above || strings.HasPrefix(pkg, above+"/")
	}
	return pkg == pattern
}

func matchesAny(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if matches(p, pkg) {
			return true
		}
	}
	return false
}
