package process

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synod/tests/harness"
)

// usage is the resource usage of one member.
type usage struct {
	live, resident, disk int64 // bytes; live is what Go's heap holds after a collection
	files, goroutines    int
}

func (u usage) String() string {
	return fmt.Sprintf("%4d MiB live, %4d resident, %4d files, %5d goroutines, %5d MiB on disk",
		u.live>>20, u.resident>>20, u.files, u.goroutines, u.disk>>20)
}

// grown returns the resources of which a member uses more than before, beyond
// normal variation: filling caches, buffers, connections, a segment or a
// compaction. It ignores resident memory, which depends on when Go last
// collected and is bounded by the memory limit.
func (u usage) grown(before usage) (problems []string) {
	check := func(what string, now, then, slack int64) {
		if now > then+then/4+slack {
			problems = append(problems, fmt.Sprintf("%s grew from %d to %d", what, then, now))
		}
	}
	const mib = 1 << 20
	check("live memory", u.live, before.live, 32*mib)
	check("open files", int64(u.files), int64(before.files), 32)
	check("goroutines", int64(u.goroutines), int64(before.goroutines), 64)
	check("disk", u.disk, before.disk, 512*mib)
	return problems
}

// usageOf measures a member that runs.
func usageOf(t testing.TB, m *harness.Member) usage {
	t.Helper()
	m.Collect(t)
	u := usage{goroutines: int(m.Metric(t, "go_goroutines")), live: int64(m.Metric(t, "go_memstats_heap_alloc_bytes")),
		resident: memoryOf(t, m.PID(), "VmRSS")}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.PID()))
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(files)
	if m.Dir != "" {
		u.disk = treeBytes(m.Dir)
	}
	return u
}

// memoryOf returns a line of a process's memory in bytes.
func memoryOf(t testing.TB, pid int, name string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, name+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no " + name)
	return 0
}

// treeBytes is the size of all files below a directory that other processes
// change.
func treeBytes(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// retire checks the registers of earlier rounds, which are no longer used, and
// forgets them, so that memory use does not grow with the duration of the run.
func (w *workload) retire() {
	w.t.Helper()
	current := fmt.Sprintf("register:%d:", w.round.Load())
	last := fmt.Sprintf("register:%d:", w.round.Load()-1) // commands on it may be under way
	w.mu.Lock()
	old := map[string][]event{}
	for key, events := range w.registers {
		if !strings.HasPrefix(key, current) && !strings.HasPrefix(key, last) {
			old[key] = events
			delete(w.registers, key)
		}
	}
	w.mu.Unlock()
	for key, events := range old {
		if !linearizable(events) {
			w.t.Errorf("%s is not linearizable:\n%s", key, describe(events))
		}
	}
}

// calm waits until clients are answered again without refusals: a client
// library may take a second to retry a server that was away.
func (w *workload) calm() {
	w.t.Helper()
	harness.Await(w.t, "all clients to be answered", func() bool {
		refused, uncertain := w.lostSoFar()
		w.progress(enough)
		r, u := w.lostSoFar()
		return r == refused && u == uncertain
	})
}

// lostSoFar returns how many commands were refused, and how many have an
// unknown outcome.
func (w *workload) lostSoFar() (refused, uncertain int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost[notDone], w.lost[unknown]
}
