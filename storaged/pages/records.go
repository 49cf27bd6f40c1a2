package pages

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/listing"
	"synod/storaged/rowcodec"
)

// Rows goes over the record rows of some slots in one name space.
type Rows struct {
	it    *pebble.Iterator
	last  uint16
	space byte

	key   []byte        // what the rows of the present register begin with
	at    listing.Entry // the present register
	begun bool
	skip  bool // rows of elements may follow
	bytes int  // of the records read
}

// Open begins before the first register at or above a hash of the first slot.
func Open(db pebble.Reader, first, last uint16, space byte, from uint64) (*Rows, error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: rowcodec.AppendPlace(nil, first, space, from),
		UpperBound: rowcodec.AppendAfter(nil, []byte{rowcodec.PrefixRegister, byte(last >> 8), byte(last)}),
	})
	if err != nil {
		return nil, err
	}
	return &Rows{it: it, last: last, space: space}, nil
}

// Close ends reading.
func (r *Rows) Close() error { return r.it.Close() }

// next moves to the next register. It returns false if there is none.
func (r *Rows) next() (bool, error) {
	ok := false
	switch {
	case !r.begun:
		r.begun = true
		ok = r.it.First()
	case r.skip:
		ok = r.it.SeekGE(append(bytes.Clone(r.key), rowcodec.RowEnd))
	default:
		ok = r.it.Next()
	}
	for ok {
		key := r.it.Key()
		if len(key) < 4 {
			return false, rowcodec.ErrRow
		}
		slot := binary.BigEndian.Uint16(key[1:])
		switch space := key[3]; {
		case space > r.space && slot == r.last:
			return false, nil
		case space > r.space:
			ok = r.it.SeekGE(rowcodec.AppendPlace(nil, slot+1, r.space, 0))
			continue
		case space < r.space:
			ok = r.it.SeekGE(rowcodec.AppendPlace(nil, slot, r.space, 0))
			continue
		}
		found, err := r.read(key)
		if found || err != nil {
			return found, err
		}
		ok = r.it.SeekGE(append(bytes.Clone(r.key), rowcodec.RowEnd))
	}
	return false, r.it.Error()
}

// read takes in the present row. It returns false if that is not a record:
// elements of one that a sweep is deleting.
func (r *Rows) read(key []byte) (bool, error) {
	reg, hash, rest, err := rowcodec.ParseRegister(key)
	if err != nil {
		return false, err
	}
	r.key = append(r.key[:0], key[:len(key)-len(rest)]...)
	if len(rest) != 1 || rest[0] != rowcodec.RowRecord {
		return false, nil
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := rowcodec.ParseTop(value)
	if err != nil {
		return false, err
	}
	r.bytes += len(key) + len(value)
	r.skip = top.Rows
	r.at = listing.Entry{Register: reg, Hash: hash, Accepted: top.Accepted, Type: uint8(top.Kind), Expiry: top.Expiry}
	return true, nil
}
