package engine

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
	identityPlain  = 1 // the format before, without a checksum and a position file
	identityFile   = "IDENTITY"

	// logDir and pebbleDir are the directories of the changelog and of Pebble.
	logDir    = "log"
	pebbleDir = "data"

	lockFile = "LOCK"
	// MaxLanes bounds the lanes of a store.
	MaxLanes = 64
)

// Why a data directory cannot be used.
var (
	// ErrInUse: another process has it open.
	ErrInUse = errors.New("data directory is in use by another process")
	// ErrForeign: it belongs to another cluster or node.
	ErrForeign = errors.New("data directory belongs to another")

	errIdentity = errors.New("identity is damaged")
)

// lockDir makes the directory, if need be, and takes it for this process.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
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

// identify reads the directory's identity and compares it with what is wanted,
// or makes one for an empty directory.
func identify(dir string, want Identity, omit rules) (Identity, error) {
	raw, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, os.ErrNotExist) {
		return create(dir, want)
	}
	if err != nil {
		return want, fmt.Errorf("read identity: %w", err)
	}
	var got Identity
	if err := json.Unmarshal(raw, &got); err != nil {
		return want, fmt.Errorf("%w: read identity of %s: %w", errIdentity, dir, err)
	}
	switch {
	case !got.sound() && !omit.omits(ruleIdentity):
		return got, fmt.Errorf("%w: data directory %s: bad checksum", errIdentity, dir)
	case got.Format != identityFormat && got.Format != identityPlain:
		return got, fmt.Errorf("data directory %s has format %d, this program knows %d", dir, got.Format, identityFormat)
	case got.Cluster != want.Cluster:
		return got, fmt.Errorf("%w cluster: %s holds data of cluster %q, not %q", ErrForeign, dir, got.Cluster, want.Cluster)
	case got.Node != want.Node:
		return got, fmt.Errorf("%w node: %s holds data of node %q, not %q", ErrForeign, dir, got.Node, want.Node)
	case got.Lanes < 1 || got.Lanes > MaxLanes || len(got.StoreID) < 16:
		return got, fmt.Errorf("%w: data directory %s: lanes or store id", errIdentity, dir)
	}
	return got, nil
}

// sound reports whether the identity is as it was written.
func (id Identity) sound() bool {
	return id.Checksum == id.sum() || id.Checksum == "" && id.Format == identityPlain
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
	for _, data := range []string{logDir, pebbleDir} {
		if _, err := os.Stat(filepath.Join(dir, data)); err == nil {
			return want, fmt.Errorf("%w: data directory %s has data but no %s file", errIdentity, dir, identityFile)
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, says its documentation
	want.Format, want.StoreID = identityFormat, hex.EncodeToString(id[:])
	return want, want.write(dir)
}

// write replaces the identity file as a whole.
func (id *Identity) write(dir string) error {
	id.Checksum = id.sum()
	raw, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	path := filepath.Join(dir, identityFile)
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
	return syncDir(dir)
}

// upgrade notes, durably, that the directory has a position file from now on.
func (id *Identity) upgrade(dir string) error {
	if id.Position && id.Format == identityFormat {
		return nil
	}
	id.Position, id.Format = true, identityFormat
	return id.write(dir)
}

// number is the store's id as the changelog's files carry it.
func (id Identity) number() uint64 {
	b, err := hex.DecodeString(id.StoreID[:16])
	if err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
