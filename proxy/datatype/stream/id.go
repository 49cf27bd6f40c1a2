package stream

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
)

// ID names an entry: a time in milliseconds, and a number among the entries of
// that time.
type ID struct{ MS, Seq uint64 }

// maxID is the greatest ID there is.
var maxID = ID{math.MaxUint64, math.MaxUint64}

// Compare returns -1, 0 or 1 as a stands before b, is b, or stands behind it.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.MS, b.MS), cmp.Compare(a.Seq, b.Seq))
}

func (a ID) less(b ID) bool { return a.Compare(b) < 0 }

// Zero reports whether the ID is 0-0, which no entry has.
func (a ID) Zero() bool { return a == ID{} }

// next returns the ID behind a, which must not be the greatest.
func (a ID) next() ID {
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

const idBytes = 16

// appendTo appends the ID so that the order of bytes is that of IDs.
func (a ID) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, a.MS), a.Seq)
}

// idAtEnd returns the ID that an element key ends with.
func idAtEnd(key []byte) ID {
	if len(key) < idBytes {
		return ID{}
	}
	b := key[len(key)-idBytes:]
	return ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}
