package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// The first byte of a log entry. It is on disk, so the meaning and layout of a
// number never change; a new layout gets a new number.
const (
	logAccept = iota + 1
	logNode
	logEpoch
	logFlush
	logStaged
	logEpochShown
)

// AppendLogEntry appends an entry of the changelog. Exactly one field of e is set.
// An Accept is written without ID and Piggyback, which mean nothing later. An Accept
// from the wire is copied from its Encoded. If its elements were ingested before the
// vote, their incarnation number is written in place of them:
//
//	staged = stage · request
func AppendLogEntry(dst []byte, e *durable.LogEntry) []byte {
	switch {
	case e.Accept != nil && e.Accept.Change.Stage != 0:
		dst = binary.AppendUvarint(append(dst, logStaged), uint64(e.Accept.Change.Stage))
		return appendAccept(dst, e.Accept)
	case e.Accept != nil:
		dst = append(dst, logAccept)
		if e.Accept.Encoded != nil {
			return append(dst, e.Accept.Encoded...)
		}
		return appendAccept(dst, e.Accept)
	case e.Node != nil:
		dst = AppendBallot(append(dst, logNode), e.Node.Floor)
		dst = binary.AppendUvarint(dst, uint64(e.Node.Ceiling))
		return AppendBallot(dst, e.Node.PurgedThrough)
	case e.Epoch != nil:
		kind := byte(logEpochShown)
		if e.Epoch.Met {
			kind = logEpoch
		}
		dst = binary.AppendUvarint(append(dst, kind), uint64(e.Epoch.First))
		dst = binary.AppendUvarint(dst, uint64(e.Epoch.Last))
		return binary.AppendUvarint(dst, e.Epoch.Epoch)
	case e.Flush != nil:
		return appendFlushVote(append(dst, logFlush), e.Flush)
	}
	panic("wire: log entry without content")
}

// DecodeLogEntry decodes one entry, which must take up all of b. Byte slices in the
// entry alias b.
func DecodeLogEntry(b []byte) (durable.LogEntry, error) {
	var e durable.LogEntry
	var s slabs
	r := reader{b: b}
	switch kind := r.byte(); kind {
	case logAccept:
		e.Accept = new(message.Request)
		r.request(e.Accept, &s)
		if e.Accept.Kind != message.KindAccept {
			r.fail(badKind)
		}
	case logStaged:
		stage := uint32(r.atMost(1<<32 - 1))
		e.Accept = new(message.Request)
		r.wholeChange(e.Accept, &s)
		if stage == 0 {
			r.fail(badOrder)
		}
		e.Accept.Change.Stage = stage
	case logNode:
		e.Node = &durable.NodeState{Floor: r.ballot(), Ceiling: ballot.Time(r.uvarint()), PurgedThrough: r.ballot()}
	case logEpoch, logEpochShown:
		e.Epoch = &durable.EpochTaken{First: r.slot(), Last: r.slot(), Epoch: r.uvarint(), Met: kind == logEpoch}
		if e.Epoch.First > e.Epoch.Last {
			r.fail(badOrder)
		}
	case logFlush:
		e.Flush = new(durable.FlushVote)
		r.flushVote(e.Flush)
	default:
		r.fail(badKind)
	}
	if err := r.end("log entry"); err != nil {
		return durable.LogEntry{}, err
	}
	return e, nil
}

func appendFlushVote(dst []byte, v *durable.FlushVote) []byte {
	dst = AppendBallot(dst, v.Ballot)
	dst = appendSlots(dst, v.First, v.Last, v.Space)
	dst = binary.AppendUvarint(dst, uint64(v.Part))
	dst = binary.AppendUvarint(dst, uint64(v.Parts))
	dst = binary.AppendUvarint(dst, uint64(len(v.Except)))
	for i := range v.Except {
		dst = appendRegister(dst, &v.Except[i])
	}
	return dst
}

func (r *reader) flushVote(v *durable.FlushVote) {
	v.Ballot = r.ballot()
	v.First, v.Last, v.Space = r.slots()
	v.Part = uint32(r.atMost(1<<32 - 1))
	v.Parts = uint32(r.atMost(1<<32 - 1))
	if v.Part >= v.Parts {
		r.fail(badPartial)
	}
	n := r.count(3, message.MaxRefused)
	if n == 0 {
		return
	}
	v.Except = make([]register.ID, n)
	for i := range v.Except {
		r.register(&v.Except[i])
	}
}
