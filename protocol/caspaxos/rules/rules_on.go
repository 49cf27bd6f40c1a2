//go:build invariants

package rules

// Switchable tells whether rules can be turned off in this build.
const Switchable = true

// Has reports whether x is among the rules that a test has turned off.
func (r Set) Has(x Set) bool { return r&x != 0 }
