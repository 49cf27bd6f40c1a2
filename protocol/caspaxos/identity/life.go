package identity

import (
	"errors"
	"fmt"

	"synod/protocol/caspaxos/rules"
)

// Life is one start of a storage node on its data directory. Number tells
// lives of a directory apart as long as there is one directory; ID does so too
// when there are copies of it.
type Life struct {
	Number uint64 // 1 for the directory's first start, one more for each that follows
	ID     uint64 // random
}

// Mark is how far a node had come at some time, as somebody else remembers it:
// its life then, and a position up to which its changelog was durable. The zero
// Mark remembers nothing.
type Mark struct {
	Life
	Position uint64
}

// Why a data directory may not be used for voting, or no longer (§2, rollback
// rule).
var (
	// ErrRolledBack: the directory is older than what is remembered of its node.
	// What the node acknowledged since then is not in it.
	ErrRolledBack = errors.New("the data directory has been rolled back to an older copy")
	// ErrForked: the node has been started on another copy of the directory, since
	// or instead.
	ErrForked = errors.New("the data directory is a copy that was left behind: its node has been started on another one")
)

// Past is what a data directory remembers of its node. The present life is the
// last of Lives.
type Past struct {
	Lives []Life // oldest first; what is older may have been forgotten
	// Recovered is the position up to which the changelog was found when the
	// present life began.
	Recovered uint64
	// Omit is zero outside of tests.
	Omit rules.Set
}

// Life returns the present life.
func (p *Past) Life() Life {
	if len(p.Lives) == 0 {
		return Life{}
	}
	return p.Lives[len(p.Lives)-1]
}

// Knows reports whether the directory remembers a life.
func (p *Past) Knows(l Life) bool {
	for _, own := range p.Lives {
		if own == l {
			return true
		}
	}
	return false
}

// Check compares the directory with what somebody remembers of its node; synced is
// the position up to which the changelog is durable at present. A directory must
// remember the very life that others do, or be older than it: a later start of a copy
// that was rolled back has another ID under that number, however often it has been
// started. And it must hold what was durable in that life.
func (p *Past) Check(m Mark, synced uint64) error {
	now := p.Life()
	if p.Omit.Has(rules.Rollback) || m.Number == 0 {
		return nil
	}
	if m.Number > now.Number {
		return fmt.Errorf("%w: this is its start %d, it has been seen at start %d", ErrRolledBack, now.Number, m.Number)
	}
	for _, own := range p.Lives {
		if own.Number == m.Number && own.ID != m.ID {
			return fmt.Errorf("%w: its start %d was another one", ErrForked, m.Number)
		}
	}
	have := p.Recovered
	if m.Number == now.Number {
		have = synced
	}
	if m.Position > have {
		return fmt.Errorf("%w: it holds entries up to %d, in start %d the node had entries up to %d", ErrRolledBack, have, m.Number, m.Position)
	}
	return nil
}
