package storaged

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
)

// TestClockHoursAhead: a ballot from a clock hours ahead is refused and changes
// nothing; the node says so once, with both clocks.
func TestClockHoursAhead(t *testing.T) {
	n := prepareNode(t)
	core, logs := observer.New(zap.WarnLevel)
	n.cfg.Log = zap.New(core)
	n.start()
	n.create()
	c := n.dial()
	c.set("k", "v")
	ahead := time.Now().Add(3 * time.Hour)
	far := ballot.Ballot{Time: ballot.MakeTime(ahead.UnixMilli(), 0), Proposer: 9}
	for range 2 {
		q := c.setRequest("k", "from the future")
		q.Ballot = far
		if r := c.do(q); r.Outcome != message.ClockAhead {
			t.Errorf("answered %+v", r)
		}
	}
	if got := c.get("k"); got != "v" {
		t.Errorf("the key holds %q", got)
	}
	said := logs.FilterMessageSnippet("ahead of this node's clock").All()
	if len(said) != 1 {
		t.Fatalf("said %d times", len(said))
	}
	fields := said[0].ContextMap()
	for _, name := range []string{"from", "ballot", "clock"} {
		if fields[name] == nil {
			t.Errorf("%s is missing in %v", name, fields)
		}
	}
}
