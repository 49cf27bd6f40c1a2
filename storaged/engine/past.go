package engine

import (
	"errors"

	"synod/meta/site"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/storaged/datadir"
)

// Past returns what the directory remembers of its node. The present life has
// begun with Open.
func (e *Engine) Past() identity.Past {
	return identity.Past{Recovered: e.recovered, Lives: e.memory.Lives()}
}

// Site returns where the directory is.
func (e *Engine) Site() site.Site { return e.memory.Site() }

// Moved reports whether the directory's files differ from those at the last start
// that was settled: it has been copied, or moved as a copy.
func (e *Engine) Moved() bool { return e.memory.Moved() }

// ConfirmSite notes that the directory may be used where it is.
func (e *Engine) ConfirmSite() error { return e.memory.ConfirmSite() }

// Admit remembers a proxy's claim to a proposer id, durably, before it returns
// nil. Otherwise it returns ErrProposerTaken, with the highest id that the node
// has met, or an error of the disk. inUse tells of ids that must not be forgotten.
func (e *Engine) Admit(c identity.Claim, inUse func(ballot.ProposerID) bool) (highest ballot.ProposerID, err error) {
	highest, err = e.memory.Admit(c, inUse)
	if errors.Is(err, datadir.ErrUnknown) {
		e.fail(err)
	}
	return highest, err
}

// KeepPlacement remembers the placement last seen, as its owner encodes it.
func (e *Engine) KeepPlacement(b []byte) error { return e.memory.KeepPlacement(b) }

// Placement returns the placement that was kept, nil if there is none.
func (e *Engine) Placement() ([]byte, error) { return e.memory.Placement() }
