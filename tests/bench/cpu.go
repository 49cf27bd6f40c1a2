package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"synod/tests/harness"
)

// tick is the unit of /proc/PID/stat: the kernel's USER_HZ is 100 everywhere.
const tick = 10 * time.Millisecond

// cpu returns the processor time that a process, and children that it has
// waited for, took so far.
func cpu(p *harness.Process) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
	}
	used, err := parseStat(text)
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
	}
	return used, nil
}

// parseStat adds up utime, stime, cutime and cstime of a /proc/PID/stat.
func parseStat(text []byte) (time.Duration, error) {
	// The name of the program, in brackets, may hold anything; what comes
	// behind it begins with field 3.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const first = 3
	var ticks int64
	for field := 14; field <= 17; field++ {
		if field-first >= len(fields) {
			return 0, fmt.Errorf("stat has %d fields", len(fields)+first-1)
		}
		n, err := strconv.ParseInt(string(fields[field-first]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("field %d of stat: %w", field, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
