package engine

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
	"synod/protocol/caspaxos"
)

// What a data directory remembers besides the data: who its node was and whom it
// met. These are files of their own, written in place, so that a node starts and
// admits proxies on a full disk, too.
const (
	livesFile     = "LIVES"
	proposersFile = "PROPOSERS"
	placementFile = "PLACEMENT"

	// maxLives bounds the lives that a directory remembers.
	maxLives       = 64
	livesBytes     = 8 << 10
	proposersBytes = 4 + 12*(caspaxos.MaxClaims+maxSpareClaims)
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

// memory is what the engine keeps of the directory's own past.
type memory struct {
	mu        sync.Mutex
	file      *sealed.Mirror
	lives     lives
	site      site.Site
	moved     bool
	recovered uint64

	claimsMu   sync.Mutex
	claimsFile *sealed.Mirror
	claims     *caspaxos.Claims
}

func (e *Engine) label(file string) string { return file + " " + e.identity.StoreID }

// beginLife notes, durably, that the directory is started once more, before
// anything else is done with it: no two starts are the same life.
func (e *Engine) beginLife() (err error) {
	m := &e.memory
	if m.site, err = site.Of(e.lock); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	var content []byte
	m.file, content, err = sealed.OpenMirror(filepath.Join(e.opts.Dir, livesFile), e.label(livesFile), livesBytes)
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
		m.lives.Lives = m.lives.Lives[max(0, n+1-maxLives):]
	}
	m.lives.Lives = append(m.lives.Lives, next)
	return m.write()
}

func (m *memory) write() error {
	content, err := json.Marshal(m.lives)
	if err == nil {
		err = m.file.Write(content)
	}
	if err != nil {
		return fmt.Errorf("write the data directory's lives: %w", err)
	}
	return nil
}

// Past returns what the directory remembers of its node. The present life has
// begun with Open.
func (e *Engine) Past() caspaxos.Past {
	m := &e.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	p := caspaxos.Past{Recovered: m.recovered}
	for _, l := range m.lives.Lives {
		p.Lives = append(p.Lives, caspaxos.Life(l))
	}
	return p
}

// Site returns where the directory is.
func (e *Engine) Site() site.Site { return e.memory.site }

// Moved reports whether the directory's files are others than when a start of it
// was last settled: it has been copied, or moved as a copy.
func (e *Engine) Moved() bool {
	e.memory.mu.Lock()
	defer e.memory.mu.Unlock()
	return e.memory.moved
}

// Settle notes that the directory may be used where it is.
func (e *Engine) Settle() error {
	m := &e.memory
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
func (e *Engine) openClaims() error {
	m := &e.memory
	file, content, err := sealed.OpenMirror(filepath.Join(e.opts.Dir, proposersFile), e.label(proposersFile), proposersBytes)
	if err != nil {
		return fmt.Errorf("read the proposers met: %w", err)
	}
	var floor caspaxos.ProposerID
	var known []caspaxos.Claim
	if len(content) >= 4 {
		floor = caspaxos.ProposerID(binary.BigEndian.Uint32(content))
		for b := range slices.Chunk(content[4:], 12) {
			known = append(known, caspaxos.Claim{
				Proposer: caspaxos.ProposerID(binary.BigEndian.Uint32(b)), Start: binary.BigEndian.Uint64(b[4:]),
			})
		}
	}
	m.claimsFile, m.claims = file, caspaxos.NewClaims(floor, known, 0)
	return nil
}

// ErrProposerTaken says that another start of a proxy has the proposer id, or may
// have it.
var ErrProposerTaken = errors.New("the proposer id belongs to another start of a proxy")

// Admit remembers a proxy's claim to a proposer id, durably, before it returns
// nil. Otherwise it is ErrProposerTaken, with the highest id that the node has
// met, or an error of the disk. inUse tells of ids that must not be forgotten.
func (e *Engine) Admit(c caspaxos.Claim, inUse func(caspaxos.ProposerID) bool) (highest caspaxos.ProposerID, err error) {
	m := &e.memory
	m.claimsMu.Lock()
	defer m.claimsMu.Unlock()
	switch {
	case m.claims.Known(c):
		return 0, nil
	case m.claims.Refuses(c):
		return m.claims.Highest(), ErrProposerTaken
	}
	m.claims.Add(c, inUse)
	all := m.claims.All()
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+12*len(all)), uint32(m.claims.Floor))
	for _, k := range all {
		b = binary.BigEndian.AppendUint32(b, uint32(k.Proposer))
		b = binary.BigEndian.AppendUint64(b, k.Start)
	}
	err = m.claimsFile.Write(b)
	switch {
	case err == nil:
		return 0, nil
	case !isFull(err): // what is on the disk is unknown
		e.fail(fmt.Errorf("remember a proposer: %w", err))
	default: // the file could not be made
		err = errors.Join(err, e.openClaims())
	}
	return 0, fmt.Errorf("remember a proposer: %w", err)
}

// KeepPlacement remembers the placement last seen, as its owner encodes it.
func (e *Engine) KeepPlacement(b []byte) error {
	if err := sealed.Write(filepath.Join(e.opts.Dir, placementFile), e.label(placementFile), b); err != nil {
		return fmt.Errorf("keep the placement: %w", err)
	}
	return nil
}

// Placement returns the placement that was kept, nil if there is none.
func (e *Engine) Placement() ([]byte, error) {
	b, err := sealed.Read(filepath.Join(e.opts.Dir, placementFile), e.label(placementFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the placement kept: %w", err)
	}
	return b, nil
}
