//go:build !invariants

package rules

// Switchable tells whether rules can be turned off in this build.
const Switchable = false

// Has reports whether x is among the rules that a test has turned off: none ever
// is in this build.
func (Set) Has(Set) bool { return false }
