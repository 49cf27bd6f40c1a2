package entry

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
)

// ID identifies an entry: a time in milliseconds and a sequence number for
// entries with the same time.
type ID struct{ MS, Seq uint64 }

// MaxID is the greatest ID.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// Compare returns -1, 0 or 1 if a is before, equal to or after b.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.MS, b.MS), cmp.Compare(a.Seq, b.Seq))
}

// Less reports whether a comes before b.
func (a ID) Less(b ID) bool { return a.Compare(b) < 0 }

// Zero reports whether the ID is 0-0, which no entry has.
func (a ID) Zero() bool { return a == ID{} }

// Next returns the ID after a, which must not be the greatest.
func (a ID) Next() ID {
	if a.Seq == math.MaxUint64 {
		return ID{a.MS + 1, 0}
	}
	return ID{a.MS, a.Seq + 1}
}

// previous returns the ID before a, which must not be 0-0.
func (a ID) previous() ID {
	if a.Seq == 0 {
		return ID{a.MS - 1, math.MaxUint64}
	}
	return ID{a.MS, a.Seq - 1}
}

// String returns the ID as clients write it.
func (a ID) String() string { return string(a.text()) }

func (a ID) text() []byte {
	b := strconv.AppendUint(make([]byte, 0, 24), a.MS, 10)
	return strconv.AppendUint(append(b, '-'), a.Seq, 10)
}

// IDBytes is the length of an ID in a key.
const IDBytes = 16

// AppendTo appends the ID as IDBytes bytes that sort like IDs.
func (a ID) AppendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, a.MS), a.Seq)
}

// IDAtEnd returns the ID at the end of an element key.
func IDAtEnd(key []byte) ID {
	if len(key) < IDBytes {
		return ID{}
	}
	b := key[len(key)-IDBytes:]
	return ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}
