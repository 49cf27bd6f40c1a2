//go:build invariants

package engine

// omits reports whether a test has turned off a rule.
func (r rules) omits(x rules) bool { return r&x != 0 }
