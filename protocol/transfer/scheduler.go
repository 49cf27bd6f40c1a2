package transfer

import (
	"context"
	"math"
	"slices"
	"sync"
)

// Limits bound the transfers of a Scheduler. Zero means no limit.
type Limits struct {
	Running     int   // transfers at a time
	RunningEach int   // transfers at a time, of one peer
	Open        int   // transfers that run or wait
	OpenEach    int   // transfers of one peer that run or wait
	Reserved    int   // of Open: only for peers that have no transfer open
	BytesEach   int64 // a peer that holds as many bytes gets no further transfer
}

// Transfer is one large state on its way. Value is the owner's.
type Transfer[P comparable, T any] struct {
	Value T

	peer  P
	bytes int64  // that it still holds
	turn  uint64 // transfers have their turn in this order
	run   func() // nil until it may run
}

// Scheduler runs transfers with peers of type P. Transfers of one peer run in the order
// in which they were started; so do those of different peers, except that a peer which
// has as many running as it may is passed over. It is safe for concurrent use.
type Scheduler[P comparable, T any] struct {
	limits Limits
	spawn  func(func())

	mu      sync.Mutex
	peers   map[P]*peer[P, T]
	open    int
	running int
	bytes   int64
	turns   uint64
	stopped bool
	idle    chan struct{} // if not nil: closed when no transfer is open
}

type peer[P comparable, T any] struct {
	open, running int
	bytes         int64
	waiting       []*Transfer[P, T] // in the order of their turns
}

// New returns a Scheduler that runs transfers on goroutines that spawn starts.
func New[P comparable, T any](limits Limits, spawn func(func())) *Scheduler[P, T] {
	return &Scheduler[P, T]{limits: limits, spawn: spawn, peers: make(map[P]*peer[P, T])}
}

func reached(n, limit int) bool { return limit > 0 && n >= limit }

// Admit opens a transfer, which the owner must Start. It takes the place of transfers
// of the peer that wait and are outdated: these never run, and Admit returns their
// values. If a limit is reached, it returns nil, and nothing is withdrawn. A nil outdated
// withdraws nothing.
func (s *Scheduler[P, T]) Admit(to P, value T, bytes int64, outdated func(T) bool) (t *Transfer[P, T], withdrawn []T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[to]
	if p == nil {
		p = new(peer[P, T])
	}
	old := p.find(outdated)
	if s.full(p, old) {
		return nil, nil
	}
	s.peers[to] = p
	t = &Transfer[P, T]{Value: value, peer: to, bytes: bytes, turn: math.MaxUint64}
	if len(old) > 0 {
		t.turn = old[0].turn
	}
	p.open++
	p.bytes += bytes
	s.open++
	s.bytes += bytes
	return t, s.withdraw(p, old)
}

// full reports whether a peer may have no further transfer, if some are withdrawn.
func (s *Scheduler[P, T]) full(p *peer[P, T], old []*Transfer[P, T]) bool {
	held := p.bytes
	for _, o := range old {
		held -= o.bytes
	}
	mine, all := p.open-len(old), s.open-len(old)
	if mine > 0 {
		all += s.limits.Reserved
	}
	return s.stopped || reached(all, s.limits.Open) || reached(mine, s.limits.OpenEach) ||
		s.limits.BytesEach > 0 && held >= s.limits.BytesEach
}

// find returns the waiting transfers that are outdated.
func (p *peer[P, T]) find(outdated func(T) bool) (found []*Transfer[P, T]) {
	if outdated == nil {
		return nil
	}
	for _, t := range p.waiting {
		if outdated(t.Value) {
			found = append(found, t)
		}
	}
	return found
}

// Withdraw ends the peer's waiting transfers that are outdated and returns their values.
func (s *Scheduler[P, T]) Withdraw(of P, outdated func(T) bool) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[of]
	if p == nil {
		return nil
	}
	return s.withdraw(p, p.find(outdated))
}

func (s *Scheduler[P, T]) withdraw(p *peer[P, T], old []*Transfer[P, T]) (values []T) {
	if len(old) == 0 {
		return nil
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(t *Transfer[P, T]) bool { return slices.Contains(old, t) })
	for _, t := range old {
		values = append(values, t.Value)
		s.ended(t)
	}
	return values
}

// Start has an admitted transfer run when it has its turn. After Stop it never runs.
func (s *Scheduler[P, T]) Start(t *Transfer[P, T], run func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.run = run
	if t.turn == math.MaxUint64 {
		s.turns++
		t.turn = s.turns
	}
	p := s.peers[t.peer]
	at, _ := slices.BinarySearchFunc(p.waiting, t.turn, func(w *Transfer[P, T], turn uint64) int {
		if w.turn < turn {
			return -1
		}
		return 1
	})
	p.waiting = slices.Insert(p.waiting, at, t)
	if next := s.next(); next != nil {
		s.spawn(func() { s.work(next) })
	}
}

// work runs a transfer, and then others as long as they may.
func (s *Scheduler[P, T]) work(t *Transfer[P, T]) {
	for t != nil {
		t.run()
		s.mu.Lock()
		s.peers[t.peer].running--
		s.running--
		s.ended(t)
		t = s.next()
		s.mu.Unlock()
	}
}

// next takes the transfer whose turn it is, nil if none may run.
func (s *Scheduler[P, T]) next() (first *Transfer[P, T]) {
	if s.stopped || reached(s.running, s.limits.Running) {
		return nil
	}
	for _, p := range s.peers {
		if len(p.waiting) > 0 && !reached(p.running, s.limits.RunningEach) && (first == nil || p.waiting[0].turn < first.turn) {
			first = p.waiting[0]
		}
	}
	if first != nil {
		p := s.peers[first.peer]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		p.running++
		s.running++
	}
	return first
}

// Release notes that a transfer holds no memory any more, though it goes on.
func (s *Scheduler[P, T]) Release(t *Transfer[P, T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(t)
}

func (s *Scheduler[P, T]) release(t *Transfer[P, T]) {
	s.peers[t.peer].bytes -= t.bytes
	s.bytes -= t.bytes
	t.bytes = 0
}

func (s *Scheduler[P, T]) ended(t *Transfer[P, T]) {
	s.release(t)
	p := s.peers[t.peer]
	if p.open--; p.open == 0 {
		delete(s.peers, t.peer)
	}
	if s.open--; s.open == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// Open returns how many transfers run or wait, and how many bytes they hold.
func (s *Scheduler[P, T]) Open() (transfers int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.bytes
}

// OpenWith returns how many bytes the transfers of a peer hold.
func (s *Scheduler[P, T]) OpenWith(of P) (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[of]; p != nil {
		bytes = p.bytes
	}
	return bytes
}

// Idle waits until no transfer is open, or ctx ends.
func (s *Scheduler[P, T]) Idle(ctx context.Context) {
	s.mu.Lock()
	if s.open == 0 {
		s.mu.Unlock()
		return
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Stop admits nothing further, and starts none of those that wait. Those that run go on.
func (s *Scheduler[P, T]) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}
