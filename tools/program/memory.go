package program

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory makes Go's garbage collector keep the process within limit bytes.
// outside is the part of that used by memory that Go does not count. Below the
// limit, it collects less often than by default: the heap may grow to five
// times the live data. The programs have little live data and short-lived
// garbage, so by default they would collect many times per second under load.
// GOGC and GOMEMLIMIT take precedence if set.
func LimitMemory(limit, outside int64) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(limit - outside - programBytes)
	}
}

// programBytes is the part of the executable that is in memory.
const programBytes = 24 << 20

// MemoryLimit is the flag that bounds the memory of the process.
type MemoryLimit struct {
	MemoryLimit Size `help:"Memory that the process may take; 0 is a default, and at most three quarters of what the machine or the container has." default:"0" placeholder:"SIZE"`
}

// Bytes returns the configured limit or, by default, want, but no more than is
// available.
func (m MemoryLimit) Bytes(want int64) int64 {
	if m.MemoryLimit > 0 {
		return int64(m.MemoryLimit)
	}
	if there := availableMemory("/"); there > 0 {
		return min(want, there/4*3)
	}
	return want
}

// availableMemory returns the memory of the container or machine in bytes, 0 if
// unknown. root is the root of the file system.
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
		// "max", or a number larger than any memory, means no limit.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && (there == 0 || n < there) {
			there = n
		}
	}
	return there
}
