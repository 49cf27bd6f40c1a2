package proposer

import (
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// still is an Env in which nothing ever changes.
type still struct{ cfg *quorum.Config }

func (e still) Config(uint16) *quorum.Config            { return e.cfg }
func (e still) Prefer(*quorum.Config, uint16) []int     { return []int{0, 1, 2} }
func (e still) Reachable(cfg *quorum.Config) quorum.Set { return cfg.All() }
func (e still) Outage(uint16) *operation.Outage         { return nil }
func (e still) Missing(*quorum.Config) quorum.Set       { return 0 }
func (e still) Answering(cfg *quorum.Config) quorum.Set { return cfg.All() }
func (e still) Random(n int64) int64                    { return n / 2 }

type look struct{}

func (look) Needs() register.Projection { return register.Projection{All: true} }
func (look) ReadOnly() bool             { return true }
func (look) Blind() bool                { return false }
func (look) Execute(v register.View, _ int64) operation.Effect {
	return operation.Effect{Result: len(v.Elements())}
}

// TestIdleRegistersHoldNoStates reads large values: when that is over, the
// proposer keeps nothing of them, neither with a register that it remembers nor
// with the memory that it will use again.
func TestIdleRegistersHoldNoStates(t *testing.T) {
	now := instant.Now{Wall: 1_700_000_000_000, Mono: 1}
	p := New(Options{Clock: ballot.NewClock(1, func() int64 { return now.Wall }), Env: still{quorum.NewConfig(1, []quorum.NodeID{0, 1, 2}, nil)},
		Limits: limits.Default(), Timing: limits.DefaultTiming(), Cached: 10, CachedBytes: 1 << 20})
	large := register.NewView(register.Header{Type: register.String, Size: 1}, register.Knowledge{All: true},
		[]register.Element{{Key: []byte("k"), Value: make([]byte, 1<<20)}})
	for _, remembered := range []bool{false, true} {
		done := false
		p.Submit(now, &Command{Register: register.ID{Key: "k"}, Op: look{}, Started: now.Mono, Done: func(*Command) { done = true }})
		r := p.instances["k"]
		if remembered {
			r.met = now.Mono + 1000
		}
		for _, s := range p.Take() {
			p.Deliver(now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.ReadOK, HasState: s.Request.WantState, View: large})
		}
		if !done || r.link.In() != remembered {
			t.Fatalf("done %v, remembered %v", done, r.link.In())
		}
		for i := range r.Replies {
			if r.Replies[i].HasState || r.Replies[i].View.Elements() != nil {
				t.Errorf("remembered %v: the reply of member %d is kept", remembered, i)
			}
		}
		if r.View.Elements() != nil || r.Projection.All || r.piggyback.view.Elements() != nil {
			t.Errorf("remembered %v: a state is kept", remembered)
		}
	}
}
