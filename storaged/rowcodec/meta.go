package rowcodec

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// The row 'm' "lane" number holds a lane's replay position and a bound on the
// accepted ballots of its registers.
func LaneRow(n int) []byte { return append([]byte{PrefixMeta}, "lane"+string(rune('A'+n))...) }

// AppendLaneRow appends the value of that row.
func AppendLaneRow(b []byte, applied uint64, maxAccepted ballot.Ballot) []byte {
	b = binary.BigEndian.AppendUint64(b, applied)
	return AppendBallot(b, maxAccepted)
}

// ParseLaneRow is the reverse of AppendLaneRow.
func ParseLaneRow(b []byte) (applied uint64, maxAccepted ballot.Ballot, err error) {
	c := Cursor{B: b}
	p := c.Take(8)
	maxAccepted = c.ballot()
	if c.Bad {
		return 0, maxAccepted, fmt.Errorf("%w: lane position", ErrRow)
	}
	return binary.BigEndian.Uint64(p), maxAccepted, nil
}

// Staged is what a marker tells of.
type Staged struct {
	Register    register.ID
	Incarnation Incarnation
}

// RowStage is what the keys of markers begin with.
var RowStage = []byte{PrefixMeta, 's', 't', 'a', 'g', 'e'}

// StageRow is the key of a marker: that the disk has rows of an incarnation of a
// register, and no record yet that points to them.
func StageRow(r register.ID, i Incarnation) []byte {
	return AppendIncarnation(AppendRegister(bytes.Clone(RowStage), r), i)
}

// ParseStageRow is the reverse of StageRow.
func ParseStageRow(key []byte) (s Staged, err error) {
	var rest []byte
	if s.Register, _, rest, err = ParseRegister(key[len(RowStage):]); err != nil {
		return s, err
	}
	c := Cursor{B: rest}
	s.Incarnation = c.incarnation()
	if c.Bad || len(c.B) != 0 {
		return s, fmt.Errorf("%w: marker of a staged state", ErrRow)
	}
	return s, nil
}

// SlotBegin is below all rows of a slot and above those of the slots before.
func SlotBegin(slot int) []byte {
	if slot == partition.Slots {
		return []byte{PrefixRegister + 1}
	}
	return []byte{PrefixRegister, byte(slot >> 8), byte(slot)}
}
