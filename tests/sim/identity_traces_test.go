package sim

import "testing"

// An etcd that was restored has given P1 the id of P0. Both are admitted, and both
// write at the same moment, under the same ballot: P0's value is at x0 and x1 and
// answered, P1's is at x2. To a reader of x0 and x2 the two are one state, which it
// takes from x2; to the next, of x0 and x1, it is the other.
func twoStarts(s *Script) {
	s.sameID(1, 0)
	s.begin(0, set)
	s.beginNow(1, set)
	s.oneBallot()
}

// P1 has the id of P0 again. P0 has no session with x2 yet: x0 and x1 admit it. x2
// admits P1, and P1 sends its ballot there at once, though x0 and x1 refuse it: it
// hears of that, and takes another id, only then. It goes on as in twoStarts.
func ballotBeforeQuorum(s *Script) {
	s.sameID(1, 0)
	s.disconnect(0, 2)
	s.begin(0, set)
	s.beginNow(1, set)
	s.oneBallot()
}

// oneBallot has the write of P0 be chosen at x0 and x1, and that of P1 be at x2 only,
// until the end. Meanwhile two quorums are read.
func (s *Script) oneBallot() {
	s.to(1, 2)
	s.trip(0, 0, 1)
	s.lose(0, 2)
	s.do(2, getAll, 2, 0)
	s.do(3, getAll, 0, 1)
}

// TestRestored runs the profile of an etcd that gives out ids twice, with all rules in
// force. It is no measure for them: without ProposerOnce 2 of 471 runs went wrong,
// without ProposerQuorum none of 369. That is what the traces are for.
func TestRestored(t *testing.T) {
	for seed := range uint64(20) {
		if why := New(restoring(seed), seed).Run(); why != "" {
			report(t, restoring(seed), seed, why)
			t.FailNow()
		}
	}
}
