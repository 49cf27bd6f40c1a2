package rowcodec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/register"
)

// Above returns what the first incarnation above all of a ballot begins with.
func Above(b ballot.Ballot) []byte { return AppendAfter(nil, AppendBallot(nil, b)) }

// DeleteRows deletes the elements and buckets of a register from an incarnation
// on up to another, which stays. key is what all its rows begin with.
func DeleteRows(b *pebble.Batch, key, from, to []byte) error {
	for _, kind := range []byte{RowElement, RowBucket} {
		prefix := slices.Clip(append(bytes.Clone(key), kind))
		if err := b.DeleteRange(append(prefix, from...), append(prefix, to...), nil); err != nil {
			return err
		}
	}
	return nil
}

// EachRecord calls f with every record row of some slots.
func EachRecord(db pebble.Reader, first, last uint16, f func(register.ID, *RowTop) error) error {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: AppendPlace(nil, first, 0, 0),
		UpperBound: AppendAfter(nil, []byte{PrefixRegister, byte(last >> 8), byte(last)}),
	})
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	for ok := it.First(); ok && err == nil; {
		ok, err = eachAt(it, f)
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	return nil
}

// eachAt is a step of eachRecord.
func eachAt(it *pebble.Iterator, f func(register.ID, *RowTop) error) (more bool, err error) {
	r, _, rest, err := ParseRegister(it.Key())
	if err != nil {
		return false, err
	}
	if len(rest) != 1 || rest[0] != RowRecord { // elements: to the next register
		more = it.SeekGE(append(AppendRegister(nil, r), RowEnd))
		return more, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := ParseTop(value)
	if err == nil {
		err = f(r, &top)
	}
	if err != nil {
		return false, err
	}
	if top.Rows {
		more = it.SeekGE(append(AppendRegister(nil, r), RowEnd))
	} else {
		more = it.Next()
	}
	return more, it.Error()
}

// Get returns a copy of a row's value, nil if there is none.
func Get(db pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	value = append([]byte{}, value...)
	return value, closer.Close()
}
