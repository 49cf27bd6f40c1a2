package datadir

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"synod/meta/sealed"
	"synod/meta/site"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/storaged/disk"
)

// What a data directory remembers besides the data: the starts of its node and
// the proxies it met. These are files of their own, written in place, so that a
// node starts and admits proxies on a full disk, too.
const (
	LivesFile     = "LIVES"
	ProposersFile = "PROPOSERS"
	PlacementFile = "PLACEMENT"

	// MaxLives bounds the lives that a directory remembers.
	MaxLives       = 64
	livesBytes     = 8 << 10
	proposersBytes = 4 + 12*(identity.MaxClaims+maxSpareClaims)
	// maxSpareClaims is by how many the bound of claims may be exceeded, when all
	// are in use.
	maxSpareClaims = 1024
)

// lives is the LIVES file.
type lives struct {
	Lives []life `json:"lives"` // oldest first
	// Site is where the directory was when a start of it was last settled.
	Site site.Site `json:"site"`
}

type life struct {
	Number uint64 `json:"start"`
	ID     uint64 `json:"id"`
}

// Memory is what a data directory remembers of its node's past. All methods are
// safe for concurrent use.
type Memory struct {
	dir, storeID string

	mu    sync.Mutex
	file  *sealed.Mirror
	lives lives
	site  site.Site
	moved bool

	claimsMu   sync.Mutex
	claimsFile *sealed.Mirror
	Claims     *identity.Claims
}

// OpenMemory reads what the directory of a store remembers, and adds to it,
// durably, that the directory is started once more: no two starts are the same
// life. lock is a file of the directory.
func OpenMemory(dir string, lock *os.File, storeID string) (*Memory, error) {
	m := &Memory{dir: dir, storeID: storeID}
	if err := errors.Join(m.beginLife(lock), m.openClaims()); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Memory) label(file string) string { return file + " " + m.storeID }

func (m *Memory) beginLife(lock *os.File) (err error) {
	if m.site, err = site.Of(lock); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	var content []byte
	m.file, content, err = sealed.OpenMirror(filepath.Join(m.dir, LivesFile), m.label(LivesFile), livesBytes)
	if err != nil {
		return fmt.Errorf("read the data directory's lives: %w", err)
	}
	if content != nil {
		if err := json.Unmarshal(content, &m.lives); err != nil {
			return fmt.Errorf("read the data directory's lives: %w", err)
		}
	}
	if len(m.lives.Lives) == 0 { // new, or of a version that kept none
		m.lives.Site = m.site
	}
	m.moved = !m.lives.Site.SameFiles(m.site)
	next := life{Number: 1, ID: rand.Uint64()}
	if n := len(m.lives.Lives); n > 0 {
		next.Number = m.lives.Lives[n-1].Number + 1
		m.lives.Lives = m.lives.Lives[max(0, n+1-MaxLives):]
	}
	m.lives.Lives = append(m.lives.Lives, next)
	return m.write()
}

func (m *Memory) write() error {
	content, err := json.Marshal(m.lives)
	if err == nil {
		err = m.file.Write(content)
	}
	if err != nil {
		return fmt.Errorf("write the data directory's lives: %w", err)
	}
	return nil
}

// Lives returns the starts of the directory, oldest first, the present one
// included.
func (m *Memory) Lives() (all []identity.Life) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.lives.Lives {
		all = append(all, identity.Life(l))
	}
	return all
}

// Site returns where the directory is.
func (m *Memory) Site() site.Site { return m.site }

// Moved reports whether the directory's files differ from those at the last
// start that was settled: it has been copied, or moved as a copy.
func (m *Memory) Moved() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}

// ConfirmSite notes that the directory may be used where it is.
func (m *Memory) ConfirmSite() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives.Site == m.site {
		return nil
	}
	m.lives.Site = m.site
	err := m.write()
	m.moved = err != nil
	return err
}

// openClaims reads which proposer ids the node has met.
func (m *Memory) openClaims() error {
	file, content, err := sealed.OpenMirror(filepath.Join(m.dir, ProposersFile), m.label(ProposersFile), proposersBytes)
	if err != nil {
		return fmt.Errorf("read the proposers met: %w", err)
	}
	var floor ballot.ProposerID
	var known []identity.Claim
	if len(content) >= 4 {
		floor = ballot.ProposerID(binary.BigEndian.Uint32(content))
		for b := range slices.Chunk(content[4:], 12) {
			known = append(known, identity.Claim{
				Proposer: ballot.ProposerID(binary.BigEndian.Uint32(b)), Start: binary.BigEndian.Uint64(b[4:]),
			})
		}
	}
	m.claimsFile, m.Claims = file, identity.NewClaims(floor, known, 0)
	return nil
}

// ErrProposerTaken says that the proposer id belongs to another start of a proxy,
// or may belong to one.
var ErrProposerTaken = errors.New("the proposer id belongs to another start of a proxy")

// ErrUnknown says that a write has failed and what is on the disk is unknown:
// the store must end.
var ErrUnknown = errors.New("what is on the disk is unknown")

// Admit remembers a proxy's claim to a proposer id, durably, before it returns
// nil. Otherwise it returns ErrProposerTaken, with the highest id that the node
// has met, or an error of the disk, which is errUnknown unless the disk is full.
// inUse tells of ids that must not be forgotten.
func (m *Memory) Admit(c identity.Claim, inUse func(ballot.ProposerID) bool) (highest ballot.ProposerID, err error) {
	m.claimsMu.Lock()
	defer m.claimsMu.Unlock()
	switch {
	case m.Claims.Known(c):
		return 0, nil
	case m.Claims.Refuses(c):
		return m.Claims.Highest(), ErrProposerTaken
	}
	m.Claims.Add(c, inUse)
	all := m.Claims.All()
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+12*len(all)), uint32(m.Claims.Floor))
	for _, k := range all {
		b = binary.BigEndian.AppendUint32(b, uint32(k.Proposer))
		b = binary.BigEndian.AppendUint64(b, k.Start)
	}
	err = m.claimsFile.Write(b)
	switch {
	case err == nil:
		return 0, nil
	case !disk.IsFull(err):
		return 0, fmt.Errorf("remember a proposer: %w: %w", ErrUnknown, err)
	}
	// The file could not be made.
	return 0, fmt.Errorf("remember a proposer: %w", errors.Join(err, m.openClaims()))
}

// KeepPlacement remembers the placement last seen, as its owner encodes it.
func (m *Memory) KeepPlacement(b []byte) error {
	if err := sealed.Write(filepath.Join(m.dir, PlacementFile), m.label(PlacementFile), b); err != nil {
		return fmt.Errorf("keep the placement: %w", err)
	}
	return nil
}

// Placement returns the placement that was kept, nil if there is none.
func (m *Memory) Placement() ([]byte, error) {
	b, err := sealed.Read(filepath.Join(m.dir, PlacementFile), m.label(PlacementFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the placement kept: %w", err)
	}
	return b, nil
}
