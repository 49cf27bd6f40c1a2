package caspaxos_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// answer has a node answer a request, and returns the answer.
func (c *cluster) answer(s message.Sent) *message.Reply {
	c.t.Helper()
	reply := new(message.Reply)
	if _, err := c.nodes[s.To].acc.Step(c.now, s.Request, reply); err != nil {
		c.t.Fatal(err)
	}
	return reply
}

// later lets time pass in which a node sends something, though nothing that this
// proposer still waits for.
func (c *cluster) later(d time.Duration, speaks ...quorum.NodeID) {
	for end := c.now.Mono + instant.Mono(d); c.now.Mono < end; {
		c.advance(5 * time.Millisecond)
		for _, n := range speaks {
			c.p.Deliver(c.now, n, &message.Reply{Outcome: message.ReadOK})
		}
		c.p.Tick(c.now)
	}
}

// A member that is late with a state, but sends other things, is waited for: the
// third is asked for its ballot alone, and nobody for the state again.
func TestLateStateIsWaitedFor(t *testing.T) {
	c := newCluster(t)
	value := strings.Repeat("v", 20<<10)
	c.want("k", set{value}, "OK")
	cmd, done := c.submit("k", get{})
	asked := c.p.Take()
	if len(asked) != 2 || !asked[0].Request.WantState || asked[1].Request.WantState {
		t.Fatalf("asked %d members, the wrong one for the state", len(asked))
	}
	late := c.answer(asked[0])
	c.p.Deliver(c.now, asked[1].To, c.answer(asked[1]))
	c.later(20*time.Millisecond, 0)
	hedge := c.p.Take()
	if len(hedge) != 1 || hedge[0].To != 2 || hedge[0].Request.WantState {
		t.Fatalf("%d requests after the hedge; want one, for a ballot alone", len(hedge))
	}
	c.p.Deliver(c.now, 2, c.answer(hedge[0]))
	c.later(limits.DefaultTiming().Retry-60*time.Millisecond, 0)
	if more := c.p.Take(); len(more) != 0 {
		t.Fatalf("%d requests while the state is on its way", len(more))
	}
	c.p.Deliver(c.now, 0, late)
	if !*done || cmd.Err != nil || cmd.Result != value {
		t.Errorf("done %v, %v", *done, cmd.Err)
	}
}

// One of which nothing comes any more is not: another one sends the state as soon
// as the ballots are known.
func TestStateOfASilentMember(t *testing.T) {
	c := newCluster(t)
	value := strings.Repeat("v", 20<<10)
	c.want("k", set{value}, "OK")
	cmd, done := c.submit("k", get{})
	for range 100 {
		for _, s := range c.p.Take() {
			if s.To != 0 {
				c.p.Deliver(c.now, s.To, c.answer(s))
			}
		}
		if *done {
			break
		}
		c.later(5 * time.Millisecond)
	}
	if took := time.Duration(c.now.Mono - cmd.Started); cmd.Err != nil || cmd.Result != value || took > 5*limits.DefaultTiming().Hedge {
		t.Errorf("%v after %v", cmd.Err, took)
	}
	if n := c.stats.Fetches.Load(); n != 1 {
		t.Errorf("the state was read %d times", n)
	}
}

// A state that comes along after all counts, though it is being read elsewhere.
func TestStateThatComesTwice(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	cmd, done := c.submit("k", get{})
	asked := c.p.Take()
	late := c.answer(asked[0])
	c.p.Deliver(c.now, asked[1].To, c.answer(asked[1]))
	c.later(20 * time.Millisecond)
	for _, s := range c.p.Take() {
		c.p.Deliver(c.now, s.To, c.answer(s))
	}
	c.later(10 * time.Millisecond)
	extra := c.p.Take()
	if len(extra) != 1 || !extra[0].Request.WantLarge {
		t.Fatalf("%d requests, want one for the state", len(extra))
	}
	c.p.Deliver(c.now, 0, late)
	if !*done || cmd.Err != nil {
		t.Fatalf("done %v, %v", *done, cmd.Err)
	}
	c.p.Deliver(c.now, extra[0].To, c.answer(extra[0])) // is for nothing any more
	c.want("k", get{}, cmd.Result.(string))
}

// Answers that take long still count: a read is repeated, not started over.
func TestReadIsNotStartedOver(t *testing.T) {
	c := newCluster(t)
	value := strings.Repeat("v", 20<<10)
	c.want("k", set{value}, "OK")
	cmd, done := c.submit("k", get{})
	var first []message.Sent
	for range 4 {
		for _, s := range c.p.Take() {
			if len(first) < 2 {
				first = append(first, s)
			} else if s.Request.WantState {
				t.Errorf("the state is asked for again")
			}
		}
		c.later(limits.DefaultTiming().Retry, 0, 1, 2)
	}
	for _, s := range first {
		c.p.Deliver(c.now, s.To, c.answer(s))
	}
	if !*done || cmd.Err != nil || cmd.Result != value {
		t.Errorf("done %v, %v", *done, cmd.Err)
	}
}

// When all members are late with everything, few reads ask one more of them; when
// one has fallen silent, all do.
func TestHedgesAreFewWhenAllAreBusy(t *testing.T) {
	for _, silent := range []bool{false, true} {
		c := newCluster(t)
		const n = 2000
		for i := range n {
			c.p.Submit(c.now, &proposer.Command{Register: register.ID{Slot: 1, Key: fmt.Sprint(i)}, Op: get{},
				Started: c.now.Mono, Done: func(*proposer.Command) {}})
		}
		c.p.Take()
		if silent {
			c.later(50*time.Millisecond, 1)
		} else {
			c.later(100*time.Millisecond, 0, 1)
		}
		if got := len(c.p.Take()); silent && got != n || !silent && (got == 0 || got > 64) {
			t.Errorf("silent %v: %d of %d reads ask a third member", silent, got, n)
		}
	}
}

// Hedges that pay, as one member alone is slow, are not counted.
func TestHedgesThatPay(t *testing.T) {
	c := newCluster(t)
	for i := range 200 {
		cmd, done := c.submit("k", get{})
		for _, s := range c.p.Take() {
			if s.To == 0 {
				c.p.Deliver(c.now, 0, c.answer(s)) // 1 is slow
			}
		}
		c.later(20*time.Millisecond, 0, 1)
		for _, s := range c.p.Take() {
			c.p.Deliver(c.now, s.To, c.answer(s))
		}
		if !*done || cmd.Err != nil {
			t.Fatalf("read %d is not hedged", i)
		}
	}
}

// A request that was lost is sent again.
func TestLostReadIsRepeated(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{"v"}, "OK")
	cmd, done := c.submit("k", get{})
	for range 60 {
		c.p.Take() // lost
		c.later(10*time.Millisecond, 0, 1, 2)
	}
	c.run(done)
	if cmd.Err != nil || cmd.Result != "v" {
		t.Error(cmd.Err)
	}
}

// many submits reads of keys that hold large states, and has the ballots told.
func (c *cluster) many(n int) (cmds []*proposer.Command, ended *int) {
	c.t.Helper()
	ended = new(int)
	for i := range n {
		cmd := &proposer.Command{Register: register.ID{Slot: 1, Key: fmt.Sprint("large", i)}, Op: every{},
			Started: c.now.Mono, Done: func(*proposer.Command) { *ended++ }}
		cmds = append(cmds, cmd)
		c.p.Submit(c.now, cmd)
	}
	for _, s := range c.p.Take() {
		c.p.Deliver(c.now, s.To, c.answer(s))
	}
	return cmds, ended
}

// fill makes large states of keys.
func (c *cluster) fill(n int) {
	for i := range n {
		key := fmt.Sprint("large", i)
		v := strings.Repeat("v", 100<<10)
		for _, op := range []operation.Operation{set{v}, note{"a" + v}, note{"b" + v}} {
			c.want(key, op, "OK")
		}
	}
}

const fetchesEach = 32 // per node, with one lane

// No more extra reads than fetchesEach go to one node at a time; all have their
// turn.
func TestExtraReadsTakeTurns(t *testing.T) {
	c := newCluster(t)
	const n = 3*fetchesEach + 1
	c.fill(n)
	cmds, ended := c.many(n)
	var under []message.Sent
	for *ended < n {
		under = append(under, c.p.Take()...)
		if len(under) == 0 || len(under) > fetchesEach {
			t.Fatalf("%d extra reads under way, %d of %d done", len(under), *ended, n)
		}
		for _, part := range c.parted(under[0], 1) {
			c.p.Deliver(c.now, under[0].To, &part)
		}
		under = under[1:]
	}
	for _, cmd := range cmds {
		if cmd.Err != nil || cmd.Result != 3 {
			t.Fatalf("%v, %v", cmd.Result, cmd.Err)
		}
	}
}

// However extra reads end, others get their turns.
func TestTurnsAreGivenBack(t *testing.T) {
	const n = 2 * fetchesEach
	for name, end := range map[string]func(c *cluster, under []message.Sent){
		"node gone":     func(c *cluster, _ []message.Sent) { c.p.Disconnected(c.now, 0) },
		"refused":       func(c *cluster, under []message.Sent) { c.reply(under, message.Busy) },
		"other ballot":  func(c *cluster, under []message.Sent) { c.reply(under, message.ReadOK) },
		"time is up":    func(c *cluster, _ []message.Sent) { c.later(limits.Default().Command + time.Second) },
		"silence":       func(c *cluster, _ []message.Sent) { c.later(2 * time.Second) },
		"another epoch": func(c *cluster, _ []message.Sent) { c.newEpoch(); c.later(2 * time.Second) },
		"first parts": func(c *cluster, under []message.Sent) {
			for _, s := range under {
				c.p.Deliver(c.now, s.To, &c.parted(s, 1)[0])
			}
			c.p.Disconnected(c.now, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.fill(n)
			_, ended := c.many(n)
			end(c, c.p.Take())
			for i := 0; *ended < n; i++ {
				if i == 20000 {
					t.Fatalf("%d of %d have ended", *ended, n)
				}
				c.serve()
			}
			c.p.Take()
			c.advance(time.Minute)
			c.p.Tick(c.now)
			c.p.Take()
			again, ended := c.many(fetchesEach)
			if got := c.p.Take(); len(got) != fetchesEach {
				t.Fatalf("%d extra reads go out at once, want %d", len(got), fetchesEach)
			}
			c.later(limits.Default().Command)
			for i := 0; *ended < len(again) && i < 20000; i++ {
				c.serve()
			}
		})
	}
}

// reply answers requests without doing what they want.
func (c *cluster) reply(to []message.Sent, o message.Outcome) {
	for _, s := range to {
		c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: o, HasState: o == message.ReadOK})
	}
}

// serve answers what has been sent and lets a little time pass.
func (c *cluster) serve() {
	for _, s := range c.p.Take() {
		reply := c.answer(s)
		if reply.Transfer == nil {
			c.p.Deliver(c.now, s.To, reply)
			continue
		}
		_ = reply.Chunks(1, func(part *message.Reply) error {
			one := *part
			c.p.Deliver(c.now, s.To, &one)
			return nil
		})
	}
	c.tickNodes()
	c.advance(time.Millisecond)
	c.p.Tick(c.now)
}

// newEpoch changes the placement's epoch, at the nodes and the proposer.
func (c *cluster) newEpoch() {
	c.config = quorum.NewConfig(2, []quorum.NodeID{0, 1, 2}, nil)
	for _, n := range c.nodes {
		n.node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 2, Member: true}})
	}
}

// A node that has much to send leaves states out, and sends those that are asked
// for explicitly page by page.
func TestStatesThatDoNotComeAlong(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	req := &message.Request{ID: 1, Kind: message.KindRead, Register: register.ID{Slot: 1, Key: "k"}, Epoch: 1,
		WantState: true, Along: 1 << 10}
	req.Projection.All = true
	sent := message.Sent{To: 0, Request: req}
	if r := c.answer(sent); r.Outcome != message.ReadOK || r.HasState || r.Accepted.IsZero() {
		t.Errorf("outcome %d, with the state %v", r.Outcome, r.HasState)
	}
	req.WantLarge = true
	if r := c.answer(sent); r.Transfer == nil {
		t.Error("the state comes along")
	}
	c.want("k", set{"small"}, "OK")
	req.WantLarge = false
	if r := c.answer(sent); !r.HasState {
		t.Error("a small state does not come along")
	}
}

// A member that was told to be gone begins to send the state all the same: by a new
// connection, to which the end of the old one was mistaken to apply. If that ends,
// too, nobody tells; the one that was asked instead is listened to.
func TestPartsOfOneThatIsGone(t *testing.T) {
	c := newCluster(t)
	c.large()
	cmd, done := c.submit("k", every{})
	for _, s := range c.p.Take() {
		c.p.Deliver(c.now, s.To, c.answer(s))
	}
	first := c.p.Take()[0]
	parts := c.parted(first, 1)
	c.p.Deliver(c.now, first.To, &message.Reply{ID: first.Request.ID, Outcome: message.Unreachable})
	second := c.p.Take()[0]
	c.p.Deliver(c.now, first.To, &parts[0])
	c.p.Disconnected(c.now, first.To)
	for _, part := range c.parted(second, 1) {
		c.p.Deliver(c.now, second.To, &part)
	}
	if !*done || cmd.Err != nil || cmd.Result != 6 {
		t.Errorf("done %v: %v, %v", *done, cmd.Result, cmd.Err)
	}
}
