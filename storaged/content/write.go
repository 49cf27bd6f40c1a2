package content

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/ballot"
	"synod/storaged/rowcodec"
)

// Write puts into a batch what the disk does not have yet of the rows, of a record
// that is accepted at a ballot. key is what all rows of the register begin with.
func (c *State) Write(b *pebble.Batch, key []byte, accepted ballot.Ballot) error {
	if c.wipe {
		if err := c.wipeRows(b, key, accepted); err != nil {
			return fmt.Errorf("delete elements: %w", err)
		}
		c.wipe = false
	}
	if !c.Rows {
		return nil
	}
	if err := c.writeElements(b, key); err != nil {
		return err
	}
	return c.writeIndex(b, key)
}

// wipeRows deletes the rows of earlier incarnations, but not those of a content
// that has yet to be voted for: its ballot is above the accepted one.
func (c *State) wipeRows(b *pebble.Batch, key []byte, accepted ballot.Ballot) error {
	end := rowcodec.Above(accepted)
	if c.Rows {
		end = rowcodec.AppendIncarnation(nil, c.Incarnation)
	}
	return rowcodec.DeleteRows(b, key, nil, end)
}

func (c *State) writeElements(b *pebble.Batch, key []byte) (err error) {
	if c.pending == nil || c.pending.Len() == 0 {
		return nil
	}
	row := rowcodec.AppendIncarnation(append(key, rowcodec.RowElement), c.Incarnation)
	n := len(row)
	c.pending.Scan(func(k string, one cell) bool {
		row = append(row[:n], k...)
		if one.gone {
			err = b.Delete(row, nil)
		} else {
			err = b.Set(row, one.value, nil)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("write element: %w", err)
	}
	c.frozen, c.sent, c.pending = c.pending, c.bytes, nil
	c.onDisk, c.bytes = true, 0
	return nil
}
