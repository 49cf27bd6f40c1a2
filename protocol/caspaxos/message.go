package caspaxos

import (
	"errors"
	"time"

	"synod/protocol/register"
)

// Register names a register: the slot that places it and its key. The key's
// first byte is the name space: 0 to 15 are Redis's databases, RecordSpace is
// kept for transaction records (§6). The rest is the user's key.
type Register struct {
	Slot uint16
	Key  string
}

// Name spaces, the first byte of a Register's key.
const (
	Databases   = 16
	RecordSpace = 0xff
)

// Slots is the number of slots that keys are spread over.
const Slots = 16384

// Kind is the kind of a Request.
type Kind uint8

// The requests a proposer sends to an acceptor (§3).
const (
	KindRead Kind = iota + 1
	KindPrepare
	KindAccept
)

// Request is one message from a proposer about one register. Which fields
// count depends on Kind.
type Request struct {
	ID       uint64 // chosen by the proposer, echoed in the Reply
	Kind     Kind
	Register Register
	Epoch    uint64 // placement epoch of the slot that the round belongs to

	Ballot Ballot // Prepare, Accept, Read with Since

	// Of Read and Prepare: what to send back besides the ballots.
	WantState   bool // the projected state, unless it is large
	WantLarge   bool // with WantState: the state also if it is large (MaxVotedState)
	WantHistory bool // lineage, votes, cut, floor and dropped; of the lists MaxEntries
	Projection  register.Projection

	// Along is for the driver alone and not sent: if not zero, the size in bytes up
	// to which the state comes along with the ballots, below MaxVotedState. One that
	// is wanted even if it is large comes as Pages beyond it.
	Along int

	// Of Prepare: what is at or above this ballot in the lists is wanted, too, be
	// it more; zero: nothing more is.
	Oldest Ballot

	// Of Read: if the node knows what leads from the state at one of Since, which
	// a member that is behind has or can take itself back to, to the one at Ballot,
	// or to its own if that is zero, it sends that (Reply.Way) and nothing else.
	Since []Ballot // no more than MaxSince

	// Of Accept.
	Prepared bool   // the write's ballot was promised by a quorum; else it is blind
	Base     Ballot // the parent: the ballot of the state the change was made from; zero if blind or on nothing
	On       Ballot // the state that a delta applies to, if not Base: the change has those in between in it
	Change   register.Change
	Next     Ballot   // a Prepare for the proposer's next round; zero for none
	History  *Lineage // travels with a Full change that was not blind; nil otherwise
	// Needed tells that the round adds nothing and has no quorum without this
	// member, which is behind: it uses some of what it keeps in reserve for it.
	Needed bool

	// Encoded is the message as it came over the wire, if it did: a changelog
	// entry can take it as it is. Not sent, not compared.
	Encoded []byte
}

// on is the ballot of the state that a delta applies to.
func (q *Request) on() Ballot {
	if q.On.IsZero() {
		return q.Base
	}
	return q.On
}

// newest is the highest of the ballots that the acceptor would keep.
func (q *Request) newest() Ballot {
	b := MaxBallot(q.Ballot, q.Base)
	if h := q.History; h != nil {
		b = MaxBallot(b, h.Cut)
		if n := len(h.Entries); n > 0 {
			b = MaxBallot(b, h.Entries[n-1].Ballot)
		}
	}
	return b
}

// Outcome is what an acceptor made of a Request.
type Outcome uint8

// The outcomes. The last six say that the node did not answer in the sense of
// §3: it changed nothing and is not counted.
const (
	Promised    Outcome = iota + 1 // to a Prepare: promised; the record follows
	Told                           // to a Read: the record follows
	Nacked                         // to a Prepare or Accept: a higher promise stands
	Acked                          // to an Accept: accepted
	StaleBase                      // to an Accept of a delta: not at its base
	IntentMet                      // to a blind Accept: an intent stands (§3 Pending)
	Led                            // to a Read with Since: what leads to the state follows
	WrongEpoch                     // the message's epoch is older than the node's, or it is no member
	ClockAhead                     // the ballot is too far ahead of the node's clock
	Busy                           // the node cannot take more now
	DiskFull                       // the node's disk has no room for what an Accept adds, or a Prepare needs
	Unreachable                    // made by the driver: the request may or may not have been delivered
	NoRoom                         // made by the driver: the reply was more than there is memory for
	Unsent                         // made by the driver: nothing of the request was sent, nor will be
)

// Reply is an acceptor's answer to one Request.
type Reply struct {
	ID      uint64
	Outcome Outcome

	// After is for the driver alone and not sent: the reply must not leave the
	// node before its log is synced up to this position (durability rule).
	After uint64

	// Epoch is the node's epoch of the slot, with WrongEpoch.
	Epoch uint64

	// Promise: of Nacked, promise(r). Of ClockAhead, the node's clock.
	Promise Ballot
	// Never: of Nacked to an Accept: this acceptor did not vote for the ballot.
	Never bool
	// Shared: of Acked to a blind Accept: what it replaces is another proposer's,
	// and recent.
	Shared bool
	// Granted: of Acked: Next was promised.
	Granted bool

	// With Promised, Told and StaleBase: the ballot last accepted.
	Accepted Ballot
	// With Promised and Told: whether that write was prepared.
	Prepared bool
	// Held is how long this node has held Accepted, on its monotonic clock
	// (§7). Zero when it cannot tell.
	Held time.Duration

	// Back: of StaleBase, the ballots of the earlier states that the acceptor can
	// take itself back to, the latest first.
	Back []Ballot
	// Way: of Led.
	Way *Way

	// Intent: with Promised and Told the record's pending intent, with IntentMet
	// the one that stands in the way; nil for none (§6).
	Intent []byte

	// History is there when WantHistory was set.
	History *History

	// HasState tells that View holds the projected state, or a part of it.
	HasState bool
	View     register.View
	// A large state comes in several replies with the same ID, numbered from
	// zero by Part; each but the last says More. Together their views hold what
	// was asked for.
	Part uint32
	More bool
	// Pages is for the driver alone and not sent: if not nil, View is empty and
	// the driver sends the state in parts, each with the other fields as they
	// are here.
	Pages Pages
}

// Pages is a large state as it was when a request was answered, page by page.
// It may be read by any goroutine while the acceptor goes on; whoever has it
// closes it.
type Pages interface {
	// Next returns a view of about size bytes or less that goes on where the
	// last one ended, and whether more follows.
	Next(size int) (v register.View, more bool, err error)
	Close() error
}

// Parts calls send with the replies that a reply with Pages is to be sent as,
// and closes the pages. A reply is valid during the call. If a page cannot be
// read, the last reply says that the node did not answer.
func (p *Reply) Parts(size int, send func(*Reply) error) error {
	pages := p.Pages
	defer pages.Close()
	part := *p
	part.Pages = nil
	for more := true; more; part.Part++ {
		var err error
		if part.View, more, err = pages.Next(size); err != nil {
			return errors.Join(err, send(&Reply{ID: p.ID, Outcome: Busy}))
		}
		part.More = more
		if err := send(&part); err != nil {
			return err
		}
	}
	return nil
}

// PageBytes is the size in bytes, as View.Bytes has it, of the parts that a
// large state comes in.
const PageBytes = 1 << 20

// MaxVotedState is the size in bytes, as View.Bytes has it, up to which a state
// comes along with the ballots. A larger one comes when it is asked for
// explicitly, from one member, by somebody prepared to wait.
const MaxVotedState = 256 << 10

// MaxBack bounds the states that a member says it can go back to, MaxSince those
// and the one that it has.
const (
	MaxBack  = 4
	MaxSince = 1 + MaxBack
)

// Sent is a request on its way to a node.
type Sent struct {
	To      NodeID
	Request *Request
}
