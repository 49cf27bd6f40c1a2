package txn

import (
	"slices"
	"sync"
	"testing"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// work is an operation that only its kind matters of.
type work struct{ reads bool }

func (work) Needs() register.Projection                    { return register.Projection{} }
func (w work) ReadOnly() bool                              { return w.reads }
func (work) Blind() bool                                   { return false }
func (work) Execute(register.View, int64) operation.Effect { return operation.Effect{} }

// nodes is a Submitter that keeps what it is given until a test ends it.
type nodes struct {
	mu    sync.Mutex
	order []*proposer.Command // all, as they came
	under []*proposer.Command // that have not ended
	most  int                 // of under
	came  chan struct{}       // a token for each command, if not nil
	now   instant.Mono
}

func (n *nodes) Now() instant.Mono { return n.now }

func (n *nodes) Submit(cmds []*proposer.Command) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.order = append(n.order, cmds...)
	n.under = append(n.under, cmds...)
	n.most = max(n.most, len(n.under))
	for range cmds {
		if n.came != nil {
			n.came <- struct{}{}
		}
	}
}

// take takes the oldest command that has not ended.
func (n *nodes) take() *proposer.Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.under) == 0 {
		return nil
	}
	c := n.under[0]
	n.under = n.under[1:]
	return c
}

func commands(n int, reads bool) (cmds []*proposer.Command) {
	for range n {
		cmds = append(cmds, &proposer.Command{Op: work{reads}})
	}
	return cmds
}

// How many reads are under way follows from what they bring; all go out, in order.
func TestFlowFollowsSizes(t *testing.T) {
	for _, size := range []int{200, 20 << 10, 256 << 10, 1 << 30} {
		to := new(nodes)
		f := Flow{To: to}
		cmds := commands(10_000, true)
		f.Submit(cmds)
		ended := 0
		for c := to.take(); c != nil; c = to.take() {
			if ended == 1000 {
				to.most = 0 // by now it knows
			}
			c.Seen.Bytes = size
			f.Ended(c)
			ended++
		}
		if ended != len(cmds) || f.Held() || !slices.Equal(to.order, cmds) {
			t.Errorf("%d bytes each: %d of %d commands have ended, in order %v", size, ended, len(cmds), slices.Equal(to.order, cmds))
		}
		want := min(max(flowBytes/size, flowLeast), flowMost)
		if to.most > want || to.most < want*9/10 {
			t.Errorf("%d bytes each: %d reads under way, want about %d", size, to.most, want)
		}
	}
}

// Writes bring nothing, but keep their place behind reads.
func TestFlowKeepsTheOrder(t *testing.T) {
	to := new(nodes)
	f := Flow{To: to}
	first, second := commands(flowBytes/flowSize+1, true), commands(10, false)
	f.Submit(first)
	f.Submit(second)
	if len(to.under) != flowBytes/flowSize {
		t.Fatalf("%d commands under way", len(to.under))
	}
	for c := to.take(); c != nil; c = to.take() {
		f.Ended(c)
	}
	if !slices.Equal(to.order, append(first, second...)) {
		t.Error("out of order")
	}
	to.most = 0
	f.Submit(commands(flowMost, false))
	if to.most != flowMost || f.Held() {
		t.Errorf("%d writes are under way at a time, want %d", to.most, flowMost)
	}
}

// A command that would not be done in time may have more coming at once.
func TestFlowThatIsLate(t *testing.T) {
	for _, each := range []time.Duration{time.Millisecond / 100, time.Millisecond} {
		to := new(nodes)
		f := Flow{To: to, Within: time.Second}
		f.Submit(commands(10_000, true))
		most := 0
		for c := to.take(); c != nil; c = to.take() {
			to.now += instant.Mono(each)
			c.Seen.Bytes = 64 << 10
			f.Ended(c)
			most = max(most, len(to.under))
		}
		want := flowBytes >> 16
		if late := each == time.Millisecond; late {
			want *= flowWide
		}
		if most > max(want, flowBytes/flowSize) || most < want*9/10 {
			t.Errorf("%v each: %d reads under way, want about %d", each, most, want)
		}
	}
}

// A Submitter may end commands before it returns.
type atOnce struct {
	flow  *Flow
	count int
}

func (*atOnce) Now() instant.Mono { return 1 }

func (a *atOnce) Submit(cmds []*proposer.Command) {
	for _, c := range cmds {
		a.count++
		a.flow.Ended(c)
	}
}

func TestFlowOfCommandsThatEndAtOnce(t *testing.T) {
	var f Flow
	to := &atOnce{flow: &f}
	f.To = to
	f.Submit(commands(5000, true))
	if to.count != 5000 || f.Held() || f.out.Load() != 0 {
		t.Errorf("%d commands have ended", to.count)
	}
}

// Commands end from several goroutines while others are submitted: none is
// forgotten, and they stay in order.
func TestFlowFromManyGoroutines(t *testing.T) {
	to := &nodes{came: make(chan struct{}, 1<<16)}
	f := Flow{To: to}
	const batches, each = 400, 100
	var ends sync.WaitGroup
	left := make(chan struct{}, batches*each)
	for range batches * each {
		left <- struct{}{}
	}
	close(left)
	for range 4 {
		ends.Go(func() {
			for range left {
				<-to.came
				c := to.take()
				c.Seen.Bytes = 1 + len(left)%(1<<19)
				f.Ended(c)
			}
		})
	}
	var want []*proposer.Command
	for i := range batches {
		cmds := commands(each, i%3 > 0)
		want = append(want, cmds...)
		f.Submit(cmds)
	}
	ends.Wait()
	if !slices.Equal(to.order, want) {
		t.Error("out of order")
	}
	if f.Held() || f.out.Load() != 0 || f.queue != nil {
		t.Errorf("%d are left over, %d held back", f.out.Load(), len(f.queue))
	}
}
