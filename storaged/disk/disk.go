// Package disk is the disk as the changelog and the node's own files see it: the
// system calls, as a struct of functions that tests may replace, and how much
// space is free.
package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Disk is how the changelog reaches the disk: the seam at which tests let a
// disk fail. All functions must be set.
type Disk struct {
	// Write writes all of b at an offset. After an error any part of it may
	// have been written.
	Write func(f *os.File, b []byte, off int64) error
	// Sync makes what was written to the file durable.
	Sync func(f *os.File) error
	// Allocate reserves the first size bytes of a new file.
	Allocate func(f *os.File, size int64) error
	// Free returns the bytes that may still be written below a directory.
	Free func(dir string) (int64, error)
}

// Real is the operating system's.
func Real() Disk {
	return Disk{Write: writeAt, Sync: fdatasync, Allocate: allocate, Free: free}
}

func writeAt(f *os.File, b []byte, off int64) error {
	_, err := f.WriteAt(b, off)
	return err
}

func fdatasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

// allocate reserves space, so that a sync need not wait for the file system's
// own journal, and a full disk is noticed when a segment begins. On file systems
// that cannot reserve, it does nothing.
func allocate(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == nil, errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return nil
		case !errors.Is(err, syscall.EINTR):
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
	}
}

func free(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// IsFull reports whether an error is for lack of space: it goes away when there is
// space again, and does not leave the file's content unknown.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
