package proxy

import (
	"testing"

	"synod/proxy/command"
)

// TestBindings checks that the table of commands and the functions bound here
// fit together: every command runs in one way, and no function waits for a
// command that is not declared.
func TestBindings(t *testing.T) {
	declared := map[string]bool{}
	for spec, e := range newTable() {
		declared[spec.FullName] = true
		if e.run != nil && runsByItself(spec) {
			t.Errorf("%s has a function in the table and one here", spec.FullName)
		}
	}
	for name := range bindings {
		if !declared[name] {
			t.Errorf("%s is bound but not declared", name)
		}
	}
	if spec := command.Lookup([]byte("GET")); newTable()[spec] == nil {
		t.Error("GET is not in the table")
	}
}
