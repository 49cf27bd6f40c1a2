package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// A request's first byte: the kind, and flags that depend on it.
const (
	requestKind = 0x03

	// Read and Prepare.
	requestState      = 0x04
	requestHistory    = 0x08
	requestProjection = 0x10 // a projection of more than the header follows
	requestLarge      = 0x20
	requestSince      = 0x40 // of a Read
	requestOldest     = 0x80 // of a Prepare
	requestQuestion   = requestKind | requestState | requestHistory | requestProjection | requestLarge | requestSince | requestOldest

	// Accept.
	requestPrepared = 0x04
	requestBase     = 0x08
	requestLineage  = 0x10
	requestOn       = 0x20
	requestChange   = 6 // the change's kind is in the two bits from here
	requestAccept   = requestKind | requestPrepared | requestBase | requestLineage | requestOn | 3<<requestChange
)

// needed follows the piggybacked prepare of an Accept that is Needed.
const needed = 1

// AppendRequest appends a message with the fields of q that its kind uses. ID,
// Piggyback ("next" in the protocol) and Needed stand around the rest, because a
// changelog does not keep them:
//
//	body = ID · request · [next · [1, if needed]]
func AppendRequest(dst []byte, q *message.Request) []byte {
	dst, start := open(dst, KindRequest)
	dst = binary.AppendUvarint(dst, q.ID)
	if q.Kind == message.KindAccept {
		dst = appendAccept(dst, q)
		if !q.Piggyback.IsZero() || q.Needed {
			dst = AppendBallot(dst, q.Piggyback)
		}
		if q.Needed {
			dst = append(dst, needed)
		}
	} else {
		dst = appendQuestion(dst, q)
	}
	return seal(dst, start)
}

func appendQuestion(dst []byte, q *message.Request) []byte {
	flags := byte(q.Kind) & requestKind
	if q.WantState {
		flags |= requestState
	}
	if q.WantHistory {
		flags |= requestHistory
	}
	if q.WantLarge {
		flags |= requestLarge
	}
	if !q.Projection.HeaderOnly() {
		flags |= requestProjection
	}
	if len(q.Since) > 0 {
		flags |= requestSince
	}
	if !q.Oldest.IsZero() {
		flags |= requestOldest
	}
	dst = append(dst, flags)
	dst = appendRegister(dst, &q.Register)
	dst = binary.AppendUvarint(dst, q.Epoch)
	if q.Kind == message.KindPrepare || flags&requestSince != 0 {
		dst = AppendBallot(dst, q.Ballot)
	}
	if flags&requestSince != 0 {
		dst = appendBallots(dst, q.Since)
	}
	if flags&requestOldest != 0 {
		dst = AppendBallot(dst, q.Oldest)
	}
	if flags&requestProjection != 0 {
		dst = AppendProjection(dst, &q.Projection)
	}
	return dst
}

func appendAccept(dst []byte, q *message.Request) []byte {
	flags := byte(q.Kind) | byte(q.Change.Kind)<<requestChange
	if q.Prepared {
		flags |= requestPrepared
	}
	if !q.Base.IsZero() {
		flags |= requestBase
	}
	if q.History != nil {
		flags |= requestLineage
	}
	if !q.On.IsZero() {
		flags |= requestOn
	}
	dst = append(dst, flags)
	dst = appendRegister(dst, &q.Register)
	dst = binary.AppendUvarint(dst, q.Epoch)
	dst = AppendBallot(dst, q.Ballot)
	if flags&requestBase != 0 {
		dst = AppendBallot(dst, q.Base)
	}
	if flags&requestOn != 0 {
		dst = AppendBallot(dst, q.On)
	}
	if flags&requestLineage != 0 {
		dst = AppendLineage(dst, q.History)
	}
	return appendChange(dst, &q.Change)
}

// message reads the body of a KindRequest.
func (r *reader) message(q *message.Request, s *slabs) {
	q.ID = r.uvarint()
	start := r.i
	r.request(q, s)
	if q.Kind != message.KindAccept || r.why != "" {
		return
	}
	q.Encoded = r.b[start:r.i:r.i]
	if r.left() > 0 {
		q.Piggyback = r.ballot()
	}
	if r.left() > 0 {
		if q.Needed = true; r.byte() != needed {
			r.fail(badFlags)
		}
	}
}

// request reads a request without ID, Piggyback and Needed.
func (r *reader) request(q *message.Request, s *slabs) {
	flags := r.byte()
	q.Kind = message.Kind(flags & requestKind)
	r.register(&q.Register)
	q.Epoch = r.uvarint()
	switch q.Kind {
	case message.KindAccept:
		r.accept(q, flags, s)
	case message.KindRead, message.KindPrepare:
		r.question(q, flags)
	default:
		r.fail(badKind)
	}
}

func (r *reader) question(q *message.Request, flags byte) {
	if flags&^requestQuestion != 0 {
		r.fail(badFlags)
	}
	q.WantState = flags&requestState != 0
	q.WantHistory = flags&requestHistory != 0
	q.WantLarge = flags&requestLarge != 0
	if q.Kind == message.KindPrepare || flags&requestSince != 0 {
		q.Ballot = r.ballot()
	}
	if flags&requestSince != 0 {
		q.Since = r.ballots(message.MaxSince)
		if len(q.Since) == 0 || q.Kind != message.KindRead {
			r.fail(badFlags)
		}
	}
	if flags&requestOldest != 0 {
		if q.Oldest = r.ballot(); q.Kind != message.KindPrepare {
			r.fail(badFlags)
		}
	}
	if flags&requestProjection != 0 {
		r.projection(&q.Projection)
	}
}

func (r *reader) accept(q *message.Request, flags byte, s *slabs) {
	if flags&^requestAccept != 0 {
		r.fail(badFlags)
	}
	q.Prepared = flags&requestPrepared != 0
	q.Ballot = r.ballot()
	if flags&requestBase != 0 {
		q.Base = r.ballot()
	}
	if flags&requestOn != 0 {
		q.On = r.ballot()
	}
	if flags&requestLineage != 0 {
		q.History = new(history.Lineage)
		r.lineage(q.History)
	}
	r.change(&q.Change, register.ChangeKind(flags>>requestChange), s)
}

func appendRegister(dst []byte, g *register.ID) []byte {
	dst = binary.AppendUvarint(dst, uint64(g.Slot))
	return appendString(dst, g.Key)
}

// register reads a register: a valid slot, and a key with a name space.
func (r *reader) register(g *register.ID) {
	g.Slot = r.slot()
	key := r.bytes()
	if len(key) == 0 {
		r.fail(emptyKey)
		return
	}
	g.Key = string(key)
}

func (r *reader) slot() uint16 {
	v := r.uvarint()
	if v >= partition.Slots {
		r.fail(badSlot)
		return 0
	}
	return uint16(v)
}
