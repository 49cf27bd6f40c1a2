package caspaxos_test

import (
	"testing"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
)

// TestNeverSent: a write that was sent to nobody, or that is known not to have been
// voted for by those that it was sent to, is not in doubt; one that a member may
// have got is.
func TestNeverSent(t *testing.T) {
	for name, c := range map[string]struct {
		outcomes [3]message.Outcome
		want     error
	}{
		"to nobody":              {[3]message.Outcome{message.Unsent, message.Unsent, message.Unsent}, operation.ErrNoQuorum},
		"perhaps to one":         {[3]message.Outcome{message.Unsent, message.Unreachable, message.Unsent}, operation.ErrUncertain},
		"to one that did vote":   {[3]message.Outcome{message.Unsent, message.Acked, message.Unsent}, operation.ErrUncertain},
		"to one that never will": {[3]message.Outcome{message.Unsent, message.Nacked, message.Unsent}, operation.ErrContention},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t)
			cmd, done := cl.submit("k", set{"x"})
			for _, s := range cl.p.Take() {
				reply := &message.Reply{ID: s.Request.ID, Outcome: c.outcomes[s.To], Never: true}
				cl.p.Deliver(cl.now, s.To, reply)
			}
			for i := range quorum.NodeID(3) {
				cl.down[i] = true // and from now on nobody can be reached
			}
			cl.run(done)
			if cmd.Err != c.want {
				t.Errorf("%v, want %v", cmd.Err, c.want)
			}
		})
	}
}
