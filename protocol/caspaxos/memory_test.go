package caspaxos

import (
	"testing"

	"synod/protocol/register"
)

// still is an Env in which nothing ever changes.
type still struct{ cfg *Config }

func (e still) Config(uint16) *Config        { return e.cfg }
func (e still) Prefer(*Config, uint16) []int { return []int{0, 1, 2} }
func (e still) Reachable(cfg *Config) Set    { return cfg.All() }
func (e still) Outage(uint16) *Outage        { return nil }
func (e still) Missing(*Config) Set          { return 0 }
func (e still) Answering(cfg *Config) Set    { return cfg.All() }
func (e still) Random(n int64) int64         { return n / 2 }

type look struct{}

func (look) Needs() register.Projection              { return register.Projection{All: true} }
func (look) ReadOnly() bool                          { return true }
func (look) Blind() bool                             { return false }
func (look) Execute(v register.View, _ int64) Effect { return Effect{Result: len(v.Elements())} }

// TestIdleRegistersHoldNoStates reads large values: when that is over, the
// proposer keeps nothing of them, neither with a register that it remembers nor
// with the memory that it will use again.
func TestIdleRegistersHoldNoStates(t *testing.T) {
	now := Now{Wall: 1_700_000_000_000, Mono: 1}
	p := New(Options{Clock: NewClock(1, func() int64 { return now.Wall }), Env: still{NewConfig(1, []NodeID{0, 1, 2}, nil)},
		Limits: DefaultLimits(), Timing: DefaultTiming(), Cached: 10, CachedBytes: 1 << 20})
	large := register.NewView(register.Header{Type: register.String, Size: 1}, register.Knowledge{All: true},
		[]register.Element{{Key: []byte("k"), Value: make([]byte, 1<<20)}})
	for _, remembered := range []bool{false, true} {
		done := false
		p.Submit(now, &Command{Register: Register{Key: "k"}, Op: look{}, Started: now.Mono, Done: func(*Command) { done = true }})
		r := p.regs["k"]
		if remembered {
			r.met = now.Mono + 1000
		}
		for _, s := range p.Take() {
			p.Deliver(now, s.To, &Reply{ID: s.Request.ID, Outcome: Told, HasState: s.Request.WantState, View: large})
		}
		if !done || r.cached != remembered {
			t.Fatalf("done %v, remembered %v", done, r.cached)
		}
		for i := range r.replies {
			if r.replies[i].HasState || r.replies[i].View.Elements() != nil {
				t.Errorf("remembered %v: the reply of member %d is kept", remembered, i)
			}
		}
		if r.view.Elements() != nil || r.proj.All || r.carry.view.Elements() != nil {
			t.Errorf("remembered %v: a state is kept", remembered)
		}
	}
}
