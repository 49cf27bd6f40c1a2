package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"synod/protocol/caspaxos"
)

// The row 'm' "lane" number holds a lane's replay position and a bound on the
// accepted ballots of its registers.
func laneRow(n int) []byte { return append([]byte{prefixMeta}, "lane"+string(rune('A'+n))...) }

func appendLaneRow(b []byte, applied uint64, maxAccepted caspaxos.Ballot) []byte {
	b = binary.BigEndian.AppendUint64(b, applied)
	return appendBallot(b, maxAccepted)
}

func parseLaneRow(b []byte) (applied uint64, maxAccepted caspaxos.Ballot, err error) {
	c := cursor{b: b}
	p := c.take(8)
	maxAccepted = c.ballot()
	if c.bad {
		return 0, maxAccepted, fmt.Errorf("%w: lane position", errRow)
	}
	return binary.BigEndian.Uint64(p), maxAccepted, nil
}

// staged is what a marker tells of.
type staged struct {
	register    caspaxos.Register
	incarnation incarnation
}

var rowStage = []byte{prefixMeta, 's', 't', 'a', 'g', 'e'}

// stageRow is the key of a marker: that the disk has rows of an incarnation of a
// register, and no record yet that points to them.
func stageRow(r caspaxos.Register, i incarnation) []byte {
	return appendIncarnation(appendRegister(bytes.Clone(rowStage), r), i)
}

func parseStageRow(key []byte) (s staged, err error) {
	var rest []byte
	if s.register, _, rest, err = parseRegister(key[len(rowStage):]); err != nil {
		return s, err
	}
	c := cursor{b: rest}
	s.incarnation = c.incarnation()
	if c.bad || len(c.b) != 0 {
		return s, fmt.Errorf("%w: marker of a staged state", errRow)
	}
	return s, nil
}

// slotBegin is below all rows of a slot and above those of the slots before.
func slotBegin(slot int) []byte {
	if slot == caspaxos.Slots {
		return []byte{prefixRegister + 1}
	}
	return []byte{prefixRegister, byte(slot >> 8), byte(slot)}
}
