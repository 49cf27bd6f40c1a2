package sim

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
)

// ledger knows more than any process: who voted for what. It checks protocol
// invariants, which break before a client can notice. They are not checked when
// a rule is omitted: then clients must notice.
type ledger struct {
	rounds map[round]*ballotState
	byReg  map[string][]*ballotState
}

type round struct {
	key    string
	ballot ballot.Ballot
}

// ballotState is what was ever said about one ballot of one register.
type ballotState struct {
	ballot, base ballot.Ballot
	prepared     bool
	epoch        uint64
	votes        quorum.Set // that are on disk
	chosen       bool
	state        string // after it was applied
	applied      bool
}

func (l *ledger) init() {
	l.rounds = make(map[round]*ballotState)
	l.byReg = make(map[string][]*ballotState)
}

// watchSent checks that a ballot stands for one attempt, under one epoch.
func (w *World) watchSent(p *proxy, s message.Sent) {
	q := s.Request
	if q.Kind != message.KindAccept || w.Omit != 0 {
		return
	}
	key := round{q.Register.Key, q.Ballot}
	b := w.ledger.rounds[key]
	if b == nil {
		b = &ballotState{ballot: q.Ballot, base: q.Base, prepared: q.Prepared, epoch: q.Epoch}
		w.ledger.rounds[key] = b
		w.ledger.byReg[q.Register.Key] = append(w.ledger.byReg[q.Register.Key], b)
		w.checkBase(q.Register.Key, b)
		return
	}
	if b.base != q.Base || b.prepared != q.Prepared || b.epoch != q.Epoch {
		w.fail("%s uses ballot %s for two attempts", p, w.ballot(q.Ballot))
	}
}

// checkBase checks that a prepared round is based on whatever was chosen below
// it, or on something later.
func (w *World) checkBase(key string, c *ballotState) {
	if !c.prepared {
		return
	}
	for _, b := range w.ledger.byReg[key] {
		if b.chosen && b.ballot.Less(c.ballot) && c.base.Less(b.ballot) {
			w.fail("round %s of %q is based on %s although %s was chosen", w.ballot(c.ballot), key, w.ballot(c.base), w.ballot(b.ballot))
		}
	}
}

// watchVotes is called after a node did something: its votes are in its log,
// even those that it did not reply to yet. A vote counts when it is on disk,
// and gives equal states wherever it is applied.
func (w *World) watchVotes(n *node) {
	log := n.store.Log()
	for ; n.watched < len(log); n.watched++ {
		w.digest.logged(w.now, n, &log[n.watched])
		if q := log[n.watched].Accept; q != nil && w.Omit == 0 {
			w.voted(n, q, uint64(n.watched)+1)
		}
	}
}

func (w *World) voted(n *node, q *message.Request, pos uint64) {
	b := w.ledger.rounds[round{q.Register.Key, q.Ballot}]
	if b == nil { // of a register that was dropped meanwhile
		return
	}
	rec, _ := n.store.Load(q.Register)
	if rec != nil && rec.Accepted == q.Ballot {
		view := n.store.View(q.Register.Key)
		state := stateText(view)
		if b.applied && b.state != state {
			w.fail("ballot %s left %q at %s, %q elsewhere", w.ballot(b.ballot), state, n, b.state)
		}
		b.state, b.applied = state, true
	}
	i := w.config.Index(n.id)
	if i < 0 || b.votes.Has(i) {
		return
	}
	n.hold(pos, func() {
		b.votes = b.votes.With(i)
		if b.chosen || !w.config.IsQuorum(b.votes) {
			return
		}
		b.chosen = true
		for _, c := range w.ledger.byReg[q.Register.Key] {
			if c.prepared && b.ballot.Less(c.ballot) && c.base.Less(b.ballot) {
				w.fail("%s of %q was chosen although round %s is based on %s", w.ballot(b.ballot), q.Register.Key, w.ballot(c.ballot), w.ballot(c.base))
			}
		}
	})
}
