package program

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory has Go's garbage collector keep the process within limit bytes, of
// which outside are taken by what Go does not count. Below, it runs less often
// than by default: it lets the heap grow to five times what is in use, as what the
// programs have in use is small and their garbage is short-lived, so that by
// default they would collect many times a second under load. GOGC and GOMEMLIMIT,
// where set, are what counts instead.
func LimitMemory(limit, outside int64) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(limit - outside - programBytes)
	}
}

// programBytes is the part of the program's own file that is in memory.
const programBytes = 24 << 20

// MemoryLimit is the flag that bounds the memory of the process.
type MemoryLimit struct {
	MemoryLimit Size `help:"Memory that the process may take; 0 is a default, and at most three quarters of what the machine or the container has." default:"0" placeholder:"SIZE"`
}

// Bytes returns the limit: the one that was given, or want, if there is as much.
func (m MemoryLimit) Bytes(want int64) int64 {
	if m.MemoryLimit > 0 {
		return int64(m.MemoryLimit)
	}
	if there := availableMemory("/"); there > 0 {
		return min(want, there/4*3)
	}
	return want
}

// availableMemory returns the memory in bytes of the container or the machine, 0
// if neither is known. root is where the file system begins.
func availableMemory(root string) int64 {
	there := int64(0)
	if text, err := os.ReadFile(root + "proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
				there = kib << 10
			}
		}
	}
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(root + name)
		if err != nil {
			continue
		}
		// "max", or a number beyond all memory: no limit.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && (there == 0 || n < there) {
			there = n
		}
	}
	return there
}
