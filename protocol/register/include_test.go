package register_test

import (
	"testing"

	"synod/protocol/register"
)

// TestIncludeAsksForTheSameOnce: what many commands of one kind ask for is asked for once.
func TestIncludeAsksForTheSameOnce(t *testing.T) {
	one := register.Projection{Ranges: []register.Range{{From: []byte("a"), Limit: 1}, {From: []byte("b"), Limit: 2}}}
	var p register.Projection
	for range 100 {
		p.Include(one)
	}
	if len(p.Ranges) != len(one.Ranges) {
		t.Errorf("%d ranges, want %d", len(p.Ranges), len(one.Ranges))
	}
}
