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

// ErrDamaged says that the data directory has lost, or may have lost, something
// that the node acknowledged. The node must not vote with it any more.
var ErrDamaged = errors.New("data directory is damaged")

// advice tells the operator what to do about it.
const advice = "the node must not vote without what it has acknowledged: replace it, by a node with a new id and an empty data directory"

// explain marks an error that means damage as ErrDamaged, and adds the advice.
func (e *Engine) explain(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	for _, kind := range []error{changelog.ErrCorrupt, changelog.ErrPosition, datadir.ErrIdentity, rowcodec.ErrRow, tables.ErrTable} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: %w; %s", ErrDamaged, err, advice)
		}
	}
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w; %s", ErrDamaged, err, advice)
	}
	return err
}
