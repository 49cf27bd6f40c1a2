package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
)

// records goes over the record rows of some slots in one name space.
type records struct {
	it    *pebble.Iterator
	last  uint16
	space byte

	key   []byte          // what the rows of the present register begin with
	at    caspaxos.Listed // the present register
	begun bool
	skip  bool // rows of elements may follow
	bytes int  // of the records read
}

// openRecords begins before the first register at or above a hash of the first slot.
func openRecords(db pebble.Reader, first, last uint16, space byte, from uint64) (*records, error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: appendPlace(nil, first, space, from),
		UpperBound: appendAfter(nil, []byte{prefixRegister, byte(last >> 8), byte(last)}),
	})
	if err != nil {
		return nil, err
	}
	return &records{it: it, last: last, space: space}, nil
}

func (r *records) close() error { return r.it.Close() }

// next moves to the next register. It returns false if there is none.
func (r *records) next() (bool, error) {
	ok := false
	switch {
	case !r.begun:
		r.begun = true
		ok = r.it.First()
	case r.skip:
		ok = r.it.SeekGE(append(bytes.Clone(r.key), rowEnd))
	default:
		ok = r.it.Next()
	}
	for ok {
		key := r.it.Key()
		if len(key) < 4 {
			return false, errRow
		}
		slot := binary.BigEndian.Uint16(key[1:])
		switch space := key[3]; {
		case space > r.space && slot == r.last:
			return false, nil
		case space > r.space:
			ok = r.it.SeekGE(appendPlace(nil, slot+1, r.space, 0))
			continue
		case space < r.space:
			ok = r.it.SeekGE(appendPlace(nil, slot, r.space, 0))
			continue
		}
		found, err := r.read(key)
		if found || err != nil {
			return found, err
		}
		ok = r.it.SeekGE(append(bytes.Clone(r.key), rowEnd))
	}
	return false, r.it.Error()
}

// read takes in the present row. It returns false if that is not a record:
// elements of one that a sweep is deleting.
func (r *records) read(key []byte) (bool, error) {
	reg, hash, rest, err := parseRegister(key)
	if err != nil {
		return false, err
	}
	r.key = append(r.key[:0], key[:len(key)-len(rest)]...)
	if len(rest) != 1 || rest[0] != rowRecord {
		return false, nil
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := parseTop(value)
	if err != nil {
		return false, err
	}
	r.bytes += len(key) + len(value)
	r.skip = top.rows
	r.at = caspaxos.Listed{Register: reg, Hash: hash, Accepted: top.accepted, Type: uint8(top.kind), Expiry: top.expiry}
	return true, nil
}
