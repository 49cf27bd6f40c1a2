package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/rowcodec"
	"synod/storaged/tables"
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
	for _, kind := range []error{changelog.ErrCorrupt, changelog.ErrPosition, datadir.ErrIdentity, rowcodec.ErrRow, tables.ErrTable} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: %w; %s", ErrDamaged, err, comeBack)
		}
	}
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w; %s", ErrDamaged, err, comeBack)
	}
	return err
}
