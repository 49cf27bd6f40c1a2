package bench

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// machine writes where and when it was measured.
func (r *report) machine(p plan, data string) {
	r.line("%s, etcd %s. Values of %d bytes, keys at random of %d, medians of %d slices of %v each, in turns.",
		place(data), version("etcd"), valueBytes, keySpace, p.rounds, p.slice)
}

// typesMachine is machine for the commands on collections.
func (r *report) typesMachine(p typesPlan, data string) {
	r.line("%s. Medians of %d slices of %v each, in turns; one client unless said otherwise. Bytes include framing.",
		place(data), p.rounds, p.slice)
}

func place(data string) string {
	return fmt.Sprintf("Measured on %s: %s, %d cores, Linux %s, data on %s; %s, Redis %s",
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.NumCPU(), kernel(), fileSystem(data),
		runtime.Version(), version("redis-server"))
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// magics are the file system types by statfs number; if a sync costs nothing,
// the results are meaningless.
var magics = map[int64]string{
	0x01021994: "tmpfs (syncs cost nothing here: the numbers say little)",
	0xef53:     "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x794c7630: "overlayfs",
}

func fileSystem(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "an unknown file system"
	}
	if name, ok := magics[int64(s.Type)]; ok {
		return name
	}
	return fmt.Sprintf("file system %#x", s.Type)
}

var number = regexp.MustCompile(`\d+\.\d+\.\d+`)

func version(program string) string {
	text, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "?"
	}
	return number.FindString(string(text))
}
