package transfer

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// rig runs transfers that end when they are told to.
type rig struct {
	*Scheduler[string, int]
	t    *testing.T
	wg   sync.WaitGroup
	mu   sync.Mutex
	runs map[int]chan struct{}
}

func newRig(t *testing.T, l Limits) *rig {
	r := &rig{t: t, runs: map[int]chan struct{}{}}
	r.Scheduler = New[string, int](l, r.wg.Go)
	t.Cleanup(func() {
		r.Stop()
		for _, one := range r.running() {
			r.end(one)
		}
		r.wg.Wait()
	})
	return r
}

// begin admits and starts a transfer, and tells whether it was admitted.
func (r *rig) begin(peer string, id int, bytes int64, outdated func(int) bool) (withdrawn []int, ok bool) {
	r.t.Helper()
	one, withdrawn := r.Admit(peer, id, bytes, outdated)
	if one == nil {
		return nil, false
	}
	r.forget(withdrawn)
	end := make(chan struct{})
	r.mu.Lock()
	r.runs[id] = end
	r.mu.Unlock()
	r.Start(one, func() { <-end })
	return withdrawn, true
}

func (r *rig) forget(ids []int) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.runs, id)
	}
	return ids
}

// waiting returns the ids that wait with a peer, in their order.
func (r *rig) waiting(peer string) (ids []int) {
	r.Scheduler.mu.Lock()
	defer r.Scheduler.mu.Unlock()
	if p := r.peers[peer]; p != nil {
		for _, w := range p.waiting {
			ids = append(ids, w.Value)
		}
	}
	return ids
}

// running returns all ids that have not been told to end and do not wait.
func (r *rig) running() (ids []int) {
	var waiting []int
	for _, peer := range []string{"a", "b", "c"} {
		waiting = append(waiting, r.waiting(peer)...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.runs {
		if !slices.Contains(waiting, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// end has a transfer end and waits until the scheduler knows.
func (r *rig) end(id int) {
	r.mu.Lock()
	c := r.runs[id]
	delete(r.runs, id)
	r.mu.Unlock()
	before, _ := r.Open()
	close(c)
	for {
		if now, _ := r.Open(); now < before {
			return
		}
	}
}

func (r *rig) want(what string, got, want []int) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// Transfers have their turn in order; a peer that has enough of them running is passed
// over.
func TestTurns(t *testing.T) {
	r := newRig(t, Limits{Running: 3, RunningEach: 2})
	for id, peer := range []string{"a", "a", "a", "a", "b", "b", "c"} {
		r.begin(peer, id, 0, nil)
	}
	r.want("running", r.running(), []int{0, 1, 4})
	r.end(4)
	r.want("after one of b", r.running(), []int{0, 1, 5})
	r.end(0)
	r.want("after one of a", r.running(), []int{1, 2, 5})
	r.end(1)
	r.end(2)
	r.want("c", r.running(), []int{3, 5, 6})
}

// A transfer that makes others outdated takes the place of the first of them.
func TestOutdated(t *testing.T) {
	r := newRig(t, Limits{RunningEach: 1, BytesEach: 100})
	for id := range 5 {
		r.begin("a", id, 25, nil)
	}
	withdrawn, ok := r.begin("a", 5, 30, func(id int) bool { return id%2 == 0 })
	if !ok {
		t.Fatal("not admitted")
	}
	r.want("withdrawn", withdrawn, []int{2}) // 4 was refused, 0 runs
	r.want("waiting", r.waiting("a"), []int{1, 5, 3})
	if _, bytes := r.Open(); bytes != 105 {
		t.Errorf("%d bytes", bytes)
	}
	if gone, ok := r.begin("a", 6, 1, func(int) bool { return false }); ok || gone != nil {
		t.Error("a peer that holds too much gets another one")
	}
	r.want("withdrawn by hand", r.forget(r.Withdraw("a", func(id int) bool { return id > 1 })), []int{5, 3})
	r.want("waiting", r.waiting("a"), []int{1})
}

// Some places are kept for peers that have none.
func TestReserved(t *testing.T) {
	r := newRig(t, Limits{Open: 6, OpenEach: 4, Reserved: 2})
	got := 0
	for id := range 10 {
		if _, ok := r.begin("a", id, 0, nil); ok {
			got++
		}
	}
	if got != 4 {
		t.Errorf("one peer has %d", got)
	}
	for i, want := range []bool{true, false} {
		if _, ok := r.begin("b", 10+i, 0, nil); ok != want {
			t.Errorf("transfer %d of b: %v", i, ok)
		}
	}
	if _, ok := r.begin("c", 20, 0, nil); !ok {
		t.Error("no place for c")
	}
}

// Random work never passes a limit, and nothing is left in the end.
func TestLimitsHold(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		l := Limits{Running: rnd.IntN(4), RunningEach: 1 + rnd.IntN(3), Open: rnd.IntN(10), OpenEach: rnd.IntN(6), BytesEach: rnd.Int64N(50)}
		r := newRig(t, l)
		for id := range 60 {
			if running := r.running(); len(running) > 0 && rnd.IntN(2) == 0 {
				r.end(running[rnd.IntN(len(running))])
			}
			r.begin([]string{"a", "b", "c"}[rnd.IntN(3)], id, rnd.Int64N(20), func(int) bool { return rnd.IntN(8) == 0 })
			r.check(l)
		}
		for running := r.running(); len(running) > 0; running = r.running() {
			r.end(running[0])
		}
		r.Idle(context.Background())
		if n, bytes := r.Open(); n != 0 || bytes != 0 || len(r.peers) != 0 || r.Scheduler.running != 0 {
			t.Fatalf("seed %d: %d transfers of %d bytes are left", seed, n, bytes)
		}
	}
}

func (r *rig) check(l Limits) {
	r.t.Helper()
	r.Scheduler.mu.Lock()
	defer r.Scheduler.mu.Unlock()
	running, open := 0, 0
	for _, p := range r.peers {
		running, open = running+p.running, open+p.open
		if p.running > l.RunningEach || l.OpenEach > 0 && p.open > l.OpenEach {
			r.t.Fatalf("a peer has %d, %d of them running", p.open, p.running)
		}
		if len(p.waiting) > 0 && p.running < l.RunningEach && (l.Running == 0 || r.Scheduler.running < l.Running) {
			r.t.Fatal("a transfer waits though it may run")
		}
	}
	if l.Running > 0 && running > l.Running || l.Open > 0 && open > l.Open || running != r.Scheduler.running || open != r.open {
		r.t.Fatalf("%d are open, %d of them running", open, running)
	}
}
