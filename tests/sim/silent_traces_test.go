package sim

import (
	"time"

	"synod/protocol/caspaxos"
)

func others(n int, nodes []int) (rest []int) {
	in := make([]bool, n)
	for _, i := range nodes {
		in[i] = true
	}
	for i := range n {
		if !in[i] {
			rest = append(rest, i)
		}
	}
	return rest
}

// proxyTime is what a proxy's wall clock shows.
func (s *Script) proxyTime(proxy int) caspaxos.Time {
	return caspaxos.MakeTime(s.proxies[proxy].clock.wall(), 0)
}

// covered has a blind write of P0 be at x1 only and one of P1, that covers it, at
// x2 and at more. Nobody hears of x0, so P0 cannot tell what became of its own.
func (s *Script) covered(client int, more ...int) *record {
	s.pass(2 * time.Millisecond)
	a := s.beginOf(client, 0, set)
	s.to(0, 1)
	s.begin(1, set)
	s.trip(1, append(more, 2)...)
	s.lose(1, s.all()...)
	s.to(0, 2)
	s.lose(0, 0)
	s.back(0, 1, 2)
	return a
}

// untilParked lets P0 ask x1 and x2 and give up to wait for x0.
func (s *Script) untilParked() {
	s.pass(5 * time.Millisecond)
	s.lose(0, 0)
	s.trip(0, 1, 2)
	s.pass(25 * time.Millisecond)
	s.lose(0, 0)
}

// P0's a is parked, b of the same client goes before it; x0 then says that it
// has never seen a.
func parkedBehind(s *Script) {
	a := s.covered(1, 1)
	s.pass(2 * time.Millisecond)
	b := s.beginOf(1, 0, set)
	s.untilParked()
	s.finish(b, 0, 1, 2)
	s.pass(20 * time.Millisecond)
	s.finish(a, 0, 0, 1, 2)
}

// P0's a is parked, and b comes behind it. x0 has never seen a, and what covers it is
// at x2 only: P2 finds a at x1 and carries it on.
func parkedBroughtUp(s *Script) {
	s.covered(1)
	s.restartProxy(1)
	s.pass(2 * time.Millisecond)
	s.beginOf(1, 0, getAll)
	s.untilParked()
	s.trip(0, 2)          // the state at x2
	s.lose(0, s.all()...) // the empty round
	for range 100 {
		if s.pass(time.Millisecond); s.waiting(0) {
			break
		}
	}
	s.trip(0, 0, 2)
	s.lose(0, s.all()...)
	s.restartProxy(0)
	s.do(2, app, 0, 1)
}
