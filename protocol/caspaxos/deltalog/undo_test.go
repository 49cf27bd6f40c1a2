package deltalog

import (
	"strconv"
	"testing"
)

// TestUndoIsBounded: also changes that take next to nothing are counted with the
// memory that it takes to remember them.
func TestUndoIsBounded(t *testing.T) {
	var u UndoLog
	const most = maxUndoBytes / 256
	for i := range 2 * most {
		u.Add(strconv.Itoa(i/2), UndoRecord{})
	}
	kept := 0
	for _, list := range u.byKey {
		kept += len(list)
	}
	if kept != len(u.order) || kept > most || kept < most/2 {
		t.Errorf("%d votes are remembered, %d in order; want at most %d", kept, len(u.order), most)
	}
	for len(u.order) > 0 {
		u.dropOldest()
	}
	if u.bytes != 0 || len(u.byKey) != 0 {
		t.Errorf("%d bytes, %d keys are left of nothing", u.bytes, len(u.byKey))
	}
}
