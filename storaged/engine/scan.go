package engine

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
)

// above returns what the first incarnation above all of a ballot begins with.
func above(b caspaxos.Ballot) []byte { return appendAfter(nil, appendBallot(nil, b)) }

// deleteRows deletes the elements and buckets of a register from an incarnation
// on up to another, which stays. key is what all its rows begin with.
func deleteRows(b *pebble.Batch, key, from, to []byte) error {
	for _, kind := range []byte{rowElement, rowBucket} {
		prefix := slices.Clip(append(bytes.Clone(key), kind))
		if err := b.DeleteRange(append(prefix, from...), append(prefix, to...), nil); err != nil {
			return err
		}
	}
	return nil
}

// eachRecord calls f with every record row of some slots.
func eachRecord(db pebble.Reader, first, last uint16, f func(caspaxos.Register, *rowTop) error) error {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: appendPlace(nil, first, 0, 0),
		UpperBound: appendAfter(nil, []byte{prefixRegister, byte(last >> 8), byte(last)}),
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
func eachAt(it *pebble.Iterator, f func(caspaxos.Register, *rowTop) error) (more bool, err error) {
	r, _, rest, err := parseRegister(it.Key())
	if err != nil {
		return false, err
	}
	if len(rest) != 1 || rest[0] != rowRecord { // elements: to the next register
		more = it.SeekGE(append(appendRegister(nil, r), rowEnd))
		return more, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := parseTop(value)
	if err == nil {
		err = f(r, &top)
	}
	if err != nil {
		return false, err
	}
	if top.rows {
		more = it.SeekGE(append(appendRegister(nil, r), rowEnd))
	} else {
		more = it.Next()
	}
	return more, it.Error()
}
