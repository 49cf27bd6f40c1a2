package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged says that the data directory has lost something that the node
// acknowledged, or may have. The node must not vote with it any more.
var ErrDamaged = errors.New("data directory is damaged")

// comeBack tells the operator what to do about it.
const comeBack = "the node must not vote without what it has acknowledged: replace it, by a node with a new id and an empty data directory"

// explain adds to an error that means damage what follows from it.
func (e *Engine) explain(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	for _, kind := range []error{ErrCorrupt, errPosition, errIdentity, errRow, errTable} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: %w; %s", ErrDamaged, err, comeBack)
		}
	}
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w; %s", ErrDamaged, err, comeBack)
	}
	return err
}

// rules are the store's rules against damage. Tests of this package, and nobody
// else, may leave some out (Options.omit), to see that it would be noticed.
type rules uint32

const (
	// ruleRest: what follows the last entry that can be read is searched for
	// markers, be it zeros or anything else.
	ruleRest rules = 1 << iota
	// rulePosition: the position file is asked, and must be there.
	rulePosition
	// ruleApplied: Pebble, which never shows what the log may lose, is asked.
	ruleApplied
	// ruleIdentity: the identity's checksum is looked at.
	ruleIdentity
	// ruleTables: a table must hold what Pebble's manifest says it holds.
	ruleTables
)

func (r rules) omits(x rules) bool { return r&x != 0 }
