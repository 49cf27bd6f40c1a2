// Package site tells where a data directory is, to distinguish the directory from a
// copy of it.
package site

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Site is where a data directory is. It identifies one of the directory's files, which
// is never replaced, and the run of the machine. The zero Site is unknown and equals no
// other.
type Site struct {
	Boot   string `json:"boot"`   // of the operating system
	Device uint64 `json:"device"` // of the file
	Inode  uint64 `json:"inode"`
	Made   int64  `json:"made"` // Unix nanoseconds; zero if the file system does not tell
}

// Of returns the site of the directory that a file belongs to.
func Of(f *os.File) (Site, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return Site{}, fmt.Errorf("statx %s: %w", f.Name(), err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Site{}, err
	}
	s := Site{Boot: strings.TrimSpace(string(boot)), Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		s.Made = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return s, nil
}

// Same reports whether two sites are the same directory in the same run of the same
// machine: then the process that has locked it is its only user.
func (s Site) Same(t Site) bool { return s == t && s != Site{} }

// SameFiles reports whether two sites have the same files, maybe after a restart of the
// machine or on another machine. A copy made file by file has other files; a copy of
// the whole device cannot be distinguished.
func (s Site) SameFiles(t Site) bool {
	return s != Site{} && s.Inode == t.Inode && s.Made == t.Made && (s.Made != 0 || s.Device == t.Device)
}
