package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos/ballot"
)

// AppendBallot appends a ballot.
func AppendBallot(dst []byte, b ballot.Ballot) []byte {
	if b.IsZero() {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(b.Proposer)+1)
	return binary.BigEndian.AppendUint64(dst, uint64(b.Time))
}

func (r *reader) ballot() ballot.Ballot {
	p := r.atMost(uint64(ballot.MaxProposer) + 1)
	if p == 0 {
		return ballot.Ballot{}
	}
	return ballot.Ballot{Time: ballot.Time(r.uint64()), Proposer: ballot.ProposerID(p - 1)}
}

// appendBallots appends a list of ballots.
func appendBallots(dst []byte, list []ballot.Ballot) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, b := range list {
		dst = AppendBallot(dst, b)
	}
	return dst
}

func (r *reader) ballots(most int) []ballot.Ballot {
	n := r.count(1, most)
	if n == 0 {
		return nil
	}
	list := make([]ballot.Ballot, n)
	for i := range list {
		list[i] = r.ballot()
	}
	return list
}

// Flags of a ballot in a list.
const (
	stepCounter    = 1 << iota // a counter that is not zero follows
	stepProposer               // the proposer follows; else the previous entry's
	stepBlind                  // lineage: a blind write, which has no parent
	stepFromBefore             // lineage: the parent is the previous entry
	stepFromZero               // lineage: the parent is the zero ballot; else it follows

	stepVotes   = stepCounter | stepProposer
	stepLineage = stepVotes | stepBlind | stepFromBefore | stepFromZero
)

// maxMillis is the highest clock part of a ballot's time, 48 bits.
const maxMillis = 1<<48 - 1

// appendStep appends b as its difference from before, the previous entry, which is
// lower.
func appendStep(dst []byte, flags byte, before, b ballot.Ballot) []byte {
	counter := uint16(b.Time)
	if counter != 0 {
		flags |= stepCounter
	}
	if b.Proposer != before.Proposer {
		flags |= stepProposer
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(b.Time>>16)-uint64(before.Time>>16))
	if flags&stepCounter != 0 {
		dst = binary.AppendUvarint(dst, uint64(counter))
	}
	if flags&stepProposer != 0 {
		dst = binary.AppendUvarint(dst, uint64(b.Proposer))
	}
	return dst
}

// step reads what appendStep wrote.
func (r *reader) step(allowed byte, before ballot.Ballot) (flags byte, b ballot.Ballot) {
	flags = r.byte()
	if flags&^allowed != 0 {
		r.fail(badFlags)
	}
	ms := uint64(before.Time >> 16)
	ms += r.atMost(maxMillis - ms)
	b = ballot.Ballot{Time: ballot.Time(ms << 16), Proposer: before.Proposer}
	if flags&stepCounter != 0 {
		b.Time |= ballot.Time(r.atMost(0xffff))
	}
	if flags&stepProposer != 0 {
		b.Proposer = ballot.ProposerID(r.atMost(uint64(ballot.MaxProposer)))
	}
	if !before.Less(b) {
		r.fail(badOrder)
	}
	return flags, b
}
