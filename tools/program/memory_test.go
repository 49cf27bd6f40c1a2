package program

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAvailableMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"machine":             {map[string]string{"proc/meminfo": "MemTotal:       1048576 kB\nMemFree: 1 kB\n"}, 1 << 30},
		"container":           {map[string]string{"proc/meminfo": "MemTotal: 1048576 kB\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		"container, no limit": {map[string]string{"proc/meminfo": "MemTotal: 1048576 kB\n", "sys/fs/cgroup/memory.max": "max\n"}, 1 << 30},
		"older container":     {map[string]string{"proc/meminfo": "MemTotal: 1048576 kB\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		"older, no limit":     {map[string]string{"proc/meminfo": "MemTotal: 1048576 kB\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1 << 30},
		"unknown":             {nil, 0},
	} {
		root := t.TempDir() + "/"
		for path, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := availableMemory(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	if got := (MemoryLimit{MemoryLimit: 5}).Bytes(7); got != 5 {
		t.Errorf("a limit of 5 bytes is %d", got)
	}
	if got := (MemoryLimit{}).Bytes(7); got != 7 {
		t.Errorf("the default of 7 bytes is %d", got)
	}
}
