package wire

import (
	"encoding/binary"
	"math"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// A reply's first two bytes: the outcome, and which fields follow.
const (
	replyOutcome = 0x000f
	replyHistory = 0x0010
	replyState   = 0x0020
	replyPrep    = 0x0040
	replyNever   = 0x0080 // of a Nacked
	replyShared  = 0x0080 // of an Acked
	replyGranted = 0x0100
	replyEpoch   = 0x0200
	replyPromise = 0x0400
	replyAccept  = 0x0800
	replyHeld    = 0x1000
	replyIntent  = 0x2000
	replyPart    = 0x4000
	replyMore    = 0x8000
)

func flag(set bool, bit uint16) uint16 {
	if set {
		return bit
	}
	return 0
}

// AppendReply appends a message with all fields of p except After and Transfer.
func AppendReply(dst []byte, p *message.Reply) []byte {
	dst, start := open(dst, KindReply)
	flags := uint16(p.Outcome)&replyOutcome |
		flag(p.History != nil, replyHistory) |
		flag(p.HasState, replyState) |
		flag(p.Prepared, replyPrep) |
		flag(p.Never && p.Outcome == message.Nacked, replyNever) |
		flag(p.Shared && p.Outcome == message.Acked, replyShared) |
		flag(p.Granted, replyGranted) |
		flag(p.Epoch != 0, replyEpoch) |
		flag(!p.Promise.IsZero(), replyPromise) |
		flag(!p.Accepted.IsZero(), replyAccept) |
		flag(p.Held > 0, replyHeld) |
		flag(p.Intent != nil, replyIntent) |
		flag(p.Chunk > 0, replyPart) |
		flag(p.More, replyMore)
	dst = binary.AppendUvarint(dst, p.ID)
	dst = append(dst, byte(flags), byte(flags>>8))
	if flags&replyEpoch != 0 {
		dst = binary.AppendUvarint(dst, p.Epoch)
	}
	if flags&replyPromise != 0 {
		dst = AppendBallot(dst, p.Promise)
	}
	if flags&replyAccept != 0 {
		dst = AppendBallot(dst, p.Accepted)
	}
	if flags&replyHeld != 0 {
		dst = binary.AppendUvarint(dst, uint64(p.Held))
	}
	if flags&replyIntent != 0 {
		dst = appendBytes(dst, p.Intent)
	}
	if flags&replyHistory != 0 {
		dst = AppendHistory(dst, p.History)
	}
	if flags&replyPart != 0 {
		dst = binary.AppendUvarint(dst, uint64(p.Chunk))
	}
	if flags&replyState != 0 {
		dst = AppendView(dst, &p.View)
	}
	switch p.Outcome {
	case message.StaleBase:
		dst = appendBallots(dst, p.UndoTargets)
	case message.DeltasOK:
		dst = appendWay(dst, p.DeltaRange)
	}
	return seal(dst, start)
}

func (r *reader) reply(p *message.Reply, s *slabs) {
	p.ID = r.uvarint()
	flags := uint16(r.byte())
	flags |= uint16(r.byte()) << 8
	p.Outcome = r.outcome(byte(flags & replyOutcome))
	p.Prepared = flags&replyPrep != 0
	p.Never = p.Outcome == message.Nacked && flags&replyNever != 0
	p.Shared = p.Outcome == message.Acked && flags&replyShared != 0
	p.Granted = flags&replyGranted != 0
	if flags&replyEpoch != 0 {
		p.Epoch = r.uvarint()
	}
	if flags&replyPromise != 0 {
		p.Promise = r.ballot()
	}
	if flags&replyAccept != 0 {
		p.Accepted = r.ballot()
	}
	if flags&replyHeld != 0 {
		p.Held = time.Duration(r.atMost(1<<63 - 1))
	}
	if flags&replyIntent != 0 {
		p.Intent = r.bytes()
	}
	if flags&replyHistory != 0 {
		p.History = r.history()
	}
	if flags&replyPart != 0 {
		p.Chunk = uint32(r.atMost(math.MaxUint32))
	}
	p.More = flags&replyMore != 0
	if flags&replyState != 0 {
		p.HasState = true
		r.view(&p.View, s)
	}
	switch p.Outcome {
	case message.StaleBase:
		p.UndoTargets = r.ballots(message.MaxUndoTargets)
	case message.DeltasOK:
		p.DeltaRange = r.way(s)
	}
}

func appendWay(dst []byte, w *message.DeltaRange) []byte {
	dst = AppendBallot(AppendBallot(dst, w.On), w.To)
	dst = AppendLineage(dst, &w.Lineage)
	return appendChange(append(dst, byte(w.Change.Kind)), &w.Change)
}

func (r *reader) way(s *slabs) *message.DeltaRange {
	w := &message.DeltaRange{On: r.ballot(), To: r.ballot()}
	r.lineage(&w.Lineage)
	kind := register.ChangeKind(r.byte())
	if w.On.IsZero() || w.To.IsZero() || kind == register.Full {
		r.fail(badKind)
	}
	r.change(&w.Change, kind, s)
	return w
}

func (r *reader) outcome(o byte) message.Outcome {
	out := message.Outcome(o)
	if out < message.Promised || out > message.Unreachable {
		r.fail(badKind)
	}
	return out
}
