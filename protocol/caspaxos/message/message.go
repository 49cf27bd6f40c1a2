// Package message has the messages between proposers and acceptors (§3, §8). They are
// plain data; package wire encodes them.
package message

import (
	"errors"
	"slices"
	"strings"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/register"
)

// Kind is the kind of a Request.
type Kind uint8

// The requests a proposer sends to an acceptor (§3).
const (
	KindRead Kind = iota + 1
	KindPrepare
	KindAccept
)

// Request is one message from a proposer about one register. Kind determines which
// fields are used.
type Request struct {
	ID       uint64 // chosen by the proposer, echoed in the Reply
	Kind     Kind
	Register register.ID
	Epoch    uint64 // placement epoch of the slot that the round belongs to

	Ballot ballot.Ballot // Prepare, Accept, Read with Since

	// Of Read and Prepare: what to send back besides the ballots.
	WantState   bool // the projected state, unless it is large
	WantLarge   bool // with WantState: the state also if it is large (MaxVotedState)
	WantHistory bool // lineage, votes and their bounds; up to MaxEntries of each list
	Projection  register.Projection

	// Along is set by the driver and not sent. If not zero, it is a size in bytes below
	// MaxVotedState: a state up to it comes along with the ballots, and a larger one
	// comes as a Transfer if it is wanted.
	Along int

	// Of Prepare: the lists must also have their entries at or above this ballot, even
	// beyond MaxEntries. Zero: no such entries.
	Oldest ballot.Ballot

	// Of Read: Since are the states that a lagging member has or can undo to. If the
	// node knows the deltas from one of them to Ballot (or to its own state if Ballot is
	// zero), it sends only these (Reply.DeltaRange).
	Since []ballot.Ballot // no more than MaxSince

	// Of Accept.
	Prepared  bool          // the write's ballot was promised by a quorum; else it is blind
	Base      ballot.Ballot // the parent: the ballot of the state the change was made from; zero if blind or there was none
	On        ballot.Ballot // the state that a delta applies to, if not Base: the change includes the deltas in between
	Change    register.Change
	Piggyback ballot.Ballot    // piggybacked prepare for the proposer's next round ("next" in the protocol); zero for none
	History   *history.Lineage // sent with a Full change that was not blind; nil otherwise
	// Needed: the round adds no data, and has no quorum without this member, which is
	// behind. So the member may use some of its reserve of disk space.
	Needed bool

	// Encoded is the encoding of a request that came over the wire, which a changelog
	// entry can copy. Not sent, not compared.
	Encoded []byte
}

// AppliesTo is the ballot of the state that a delta applies to.
func (q *Request) AppliesTo() ballot.Ballot {
	if q.On.IsZero() {
		return q.Base
	}
	return q.On
}

// Newest is the highest ballot that the acceptor would keep of the request.
func (q *Request) Newest() ballot.Ballot {
	b := ballot.Max(q.Ballot, q.Base)
	if h := q.History; h != nil {
		b = ballot.Max(b, h.TruncatedThrough)
		if n := len(h.Entries); n > 0 {
			b = ballot.Max(b, h.Entries[n-1].Ballot)
		}
	}
	return b
}

// Outcome is what an acceptor made of a Request.
type Outcome uint8

// The outcomes. From WrongEpoch on, they are not answers in the sense of §3: the node
// is not counted. Except with Unreachable and NoRoom, it changed nothing.
const (
	Promised    Outcome = iota + 1 // to a Prepare: promised; the record follows
	ReadOK                         // to a Read: the record follows
	Nacked                         // to a Prepare or Accept: a higher promise stands
	Acked                          // to an Accept: accepted
	StaleBase                      // to an Accept of a delta: not at its base
	IntentMet                      // to a blind Accept: an intent is pending (§3 Pending)
	DeltasOK                       // to a Read with Since: the deltas up to the state follow
	WrongEpoch                     // the message's epoch is older than the node's, or the node is not a member
	ClockAhead                     // the ballot is too far ahead of the node's clock
	Busy                           // the node cannot take more now
	DiskFull                       // the node's disk has no room for what an Accept adds, or a Prepare needs
	Unreachable                    // made by the driver: the request may or may not have been delivered
	NoRoom                         // made by the driver: there was not enough memory for the reply
	Unsent                         // made by the driver: nothing of the request was or will be sent
)

// Reply is an acceptor's answer to one Request.
type Reply struct {
	ID      uint64
	Outcome Outcome

	// After is for the driver and not sent: the reply must not leave the node before
	// its log is synced up to this position (durability rule).
	After uint64

	// Epoch is the node's epoch of the slot, with WrongEpoch.
	Epoch uint64

	// Promise: of Nacked, promise(r). Of ClockAhead, the node's clock.
	Promise ballot.Ballot
	// Never: of Nacked to an Accept: this acceptor did not vote for the ballot.
	Never bool
	// Shared: of Acked to a blind Accept: it replaces a recent write of another proposer.
	Shared bool
	// Granted: of Acked: the piggybacked prepare was promised.
	Granted bool

	// With Promised, ReadOK and StaleBase: the ballot last accepted.
	Accepted ballot.Ballot
	// With Promised and ReadOK: whether that write was prepared.
	Prepared bool
	// Held is how long this node has held Accepted, on its monotonic clock
	// (§7). Zero when it cannot tell.
	Held time.Duration

	// UndoTargets: of StaleBase, the ballots of the earlier states that the acceptor can
	// undo to, the latest first.
	UndoTargets []ballot.Ballot
	// DeltaRange: of DeltasOK.
	DeltaRange *DeltaRange

	// Intent: the record's pending intent, with Promised, ReadOK and IntentMet; nil for
	// none (§6).
	Intent []byte

	// History is there when WantHistory was set.
	History *history.History

	// HasState: View holds the projected state, or a chunk of it.
	HasState bool
	View     register.View
	// A large state comes in several replies with the same ID, numbered from zero by
	// Chunk; each but the last says More. Together their views hold what was asked for.
	Chunk uint32
	More  bool
	// Transfer is for the driver and not sent. If not nil, View is empty and the driver
	// sends the state in chunks, each with the other fields as they are here.
	Transfer Transfer
}

// Transfer is a large state as it was when a request was answered, chunk by chunk.
// Any goroutine may read it while the acceptor continues. Its owner must close it.
type Transfer interface {
	// Next returns a view of about size bytes or less that begins where the last one
	// ended, and whether more follows.
	Next(size int) (v register.View, more bool, err error)
	Close() error
}

// Chunks reads the Transfer of a reply, calls send with one reply for each chunk, and
// closes the transfer. Each reply is valid during the call only. If a chunk cannot be
// read, the last reply is Busy.
func (p *Reply) Chunks(size int, send func(*Reply) error) error {
	transfer := p.Transfer
	defer transfer.Close()
	chunk := *p
	chunk.Transfer = nil
	for more := true; more; chunk.Chunk++ {
		var err error
		if chunk.View, more, err = transfer.Next(size); err != nil {
			return errors.Join(err, send(&Reply{ID: p.ID, Outcome: Busy}))
		}
		chunk.More = more
		if err := send(&chunk); err != nil {
			return err
		}
	}
	return nil
}

// ChunkBytes is the size in bytes, as View.Bytes counts, of the chunks that a large
// state comes in.
const ChunkBytes = 1 << 20

// MaxVotedState is the size in bytes, as View.Bytes counts, up to which a state comes
// along with the ballots. A larger one comes only on an explicit request (WantLarge)
// to one member, by a proposer that can wait.
const MaxVotedState = 256 << 10

// MaxUndoTargets bounds the states that a member can undo to. MaxSince also counts the
// one that it has.
const (
	MaxUndoTargets = 4
	MaxSince       = 1 + MaxUndoTargets
)

// Sent is a request on its way to a node.
type Sent struct {
	To      quorum.NodeID
	Request *Request
}

// sharedWithin: after another proposer's write that is not older than this, the two
// proposers are likely to contend for the next one.
const sharedWithin = 100 * time.Millisecond

// IsShared reports whether a blind Accept replaces a recent write of another proposer.
func (req *Request) IsShared(before ballot.Ballot) bool {
	return !req.Prepared && before.Proposer != req.Ballot.Proposer && !before.IsZero() &&
		req.Ballot.Time < before.Time.Add(sharedWithin)
}

// Clone returns a copy of the request that shares no memory with it. Piggyback and
// Encoded are left out: a re-delivery has neither. content is at least the size of
// the change in bytes.
func (q *Request) Clone(content int) *Request {
	out := *q
	out.Register.Key = strings.Clone(q.Register.Key)
	out.Piggyback, out.Encoded = ballot.Ballot{}, nil
	if q.History != nil {
		out.History = &history.Lineage{Entries: slices.Clone(q.History.Entries), TruncatedThrough: q.History.TruncatedThrough}
	}
	room := make([]byte, 0, content)
	take := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		n := len(room)
		room = append(room, b...)
		return room[n:len(room):len(room)]
	}
	out.Change.Header.Aux = take(q.Change.Header.Aux)
	out.Change.Ops = make([]register.Op, len(q.Change.Ops))
	for i, op := range q.Change.Ops {
		op.Key, op.Value = take(op.Key), take(op.Value)
		out.Change.Ops[i] = op
	}
	return &out
}

// DeltaRange leads from one state of a register to a later one: it has the deltas of
// the rounds in between, combined into one change, and the lineage of these rounds.
// An Accept of the last round with this change brings a member that missed them up to
// date, as if the original Accepts had come late (§3 "the delta from a peer's
// changelog").
type DeltaRange struct {
	On, To  ballot.Ballot // the states where it begins and ends
	Change  register.Change
	Lineage history.Lineage
}
