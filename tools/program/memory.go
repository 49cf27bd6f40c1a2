package program

import (
	"os"
	"runtime/debug"
)

// CollectLess makes Go's garbage collector run less often than by default: it
// lets the heap grow to five times what is in use, up to about limit bytes in
// all, beyond which it works as hard as need be. What the programs have in use
// is small and their garbage is short-lived, so that by default they would
// collect many times a second under load. GOGC and GOMEMLIMIT, where set, are
// what counts instead.
func CollectLess(limit int64) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(limit)
	}
}
