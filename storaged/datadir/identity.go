// Package datadir is a node's data directory, apart from the data: the lock, whose
// data it is, the starts of its node, the proxies it met and the placement it saw
// last.
package datadir

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"

	"synod/storaged/disk"
	"synod/storaged/rules"
)

// Identity says whose data a directory holds. It is written once, except that
// the cluster's id is added when it is learned.
type Identity struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	// ClusterID is the cluster's own, as etcd has it; empty until it is known.
	ClusterID string `json:"cluster_id,omitempty"`
	Node      string `json:"node"`
	// StoreID is the directory's own: a node that lost its disk has another.
	StoreID string `json:"store_id"`
	// Lanes is fixed, as positions on disk count by lanes.
	Lanes int `json:"lanes"`
	// Position tells that the directory has a position file.
	Position bool `json:"position,omitempty"`
	// Checksum is that of all else, in hexadecimal.
	Checksum string `json:"checksum,omitempty"`
}

const (
	identityFormat = 2
	IdentityPlain  = 1 // the format before, without a checksum and a position file
	IdentityFile   = "IDENTITY"

	// LogDir and pebbleDir are the directories of the changelog and of Pebble.
	LogDir    = "log"
	PebbleDir = "data"

	LockFile = "LOCK"
	// MaxLanes bounds the lanes of a store.
	MaxLanes = 64
)

// Why a data directory cannot be used.
var (
	// ErrInUse: another process has it open.
	ErrInUse = errors.New("data directory is in use by another process")
	// ErrForeign: it belongs to another cluster or node.
	ErrForeign = errors.New("data directory belongs to another")

	ErrIdentity = errors.New("identity is damaged")
)

// Lock makes the directory, if need be, and takes it for this process.
func Lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return f, nil
}

// Identify reads the directory's identity and compares it with what is wanted,
// or makes one for an empty directory.
func Identify(dir string, want Identity, omit rules.Set) (Identity, error) {
	raw, err := os.ReadFile(filepath.Join(dir, IdentityFile))
	if errors.Is(err, os.ErrNotExist) {
		return create(dir, want)
	}
	if err != nil {
		return want, fmt.Errorf("read identity: %w", err)
	}
	var got Identity
	if err := json.Unmarshal(raw, &got); err != nil {
		return want, fmt.Errorf("%w: read identity of %s: %w", ErrIdentity, dir, err)
	}
	switch {
	case !got.sound() && !omit.Omits(rules.Identity):
		return got, fmt.Errorf("%w: data directory %s: bad checksum", ErrIdentity, dir)
	case got.Format != identityFormat && got.Format != IdentityPlain:
		return got, fmt.Errorf("data directory %s has format %d, this program knows %d", dir, got.Format, identityFormat)
	case got.Cluster != want.Cluster:
		return got, fmt.Errorf("%w cluster: %s holds data of cluster %q, not %q", ErrForeign, dir, got.Cluster, want.Cluster)
	case got.Node != want.Node:
		return got, fmt.Errorf("%w node: %s holds data of node %q, not %q", ErrForeign, dir, got.Node, want.Node)
	case got.Lanes < 1 || got.Lanes > MaxLanes || len(got.StoreID) < 16:
		return got, fmt.Errorf("%w: data directory %s: lanes or store id", ErrIdentity, dir)
	}
	return got, nil
}

// sound reports whether the identity is as it was written.
func (id Identity) sound() bool {
	return id.Checksum == id.sum() || id.Checksum == "" && id.Format == IdentityPlain
}

func (id Identity) sum() string {
	id.Checksum = ""
	raw, err := json.Marshal(id)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%08x", crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)))
}

func create(dir string, want Identity) (Identity, error) {
	for _, data := range []string{LogDir, PebbleDir} {
		if _, err := os.Stat(filepath.Join(dir, data)); err == nil {
			return want, fmt.Errorf("%w: data directory %s has data but no %s file", ErrIdentity, dir, IdentityFile)
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, says its documentation
	want.Format, want.StoreID = identityFormat, hex.EncodeToString(id[:])
	return want, want.Write(dir)
}

// Write replaces the identity file as a whole.
func (id *Identity) Write(dir string) error {
	id.Checksum = id.sum()
	raw, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	path := filepath.Join(dir, IdentityFile)
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return disk.SyncDir(dir)
}

// Upgrade notes, durably, that the directory has a position file from now on.
func (id *Identity) Upgrade(dir string) error {
	if id.Position && id.Format == identityFormat {
		return nil
	}
	id.Position, id.Format = true, identityFormat
	return id.Write(dir)
}

// Number is the store's id as the changelog's files carry it.
func (id Identity) Number() uint64 {
	b, err := hex.DecodeString(id.StoreID[:16])
	if err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
