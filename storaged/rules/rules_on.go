//go:build invariants

package rules

// Omits reports whether a test has turned off a rule.
func (r Set) Omits(x Set) bool { return r&x != 0 }
