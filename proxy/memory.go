package proxy

import (
	"fmt"
	"sync"

	"synod/protocol/budget"
)

const (
	// minMemory is the least memory that a proxy can do with, in bytes.
	minMemory = 128 << 20
	// DefaultMemory is what it has unless it is told otherwise: enough for several
	// requests and replies of the largest size.
	DefaultMemory = 2 << 30
)

// Memory is what a proxy's memory is divided into. Requests and Replies overlap:
// either may have most of what both may have together. What is left is for small
// buffers, for the rest of the program and for garbage.
type Memory struct {
	Limit    int64         // of the proxy as a whole, in bytes
	Requests *budget.Share // large arguments of commands
	Replies  *budget.Share // large states that nodes send
}

// DivideMemory divides a limit in bytes.
func DivideMemory(limit int64) (Memory, error) {
	if limit < minMemory {
		return Memory{}, fmt.Errorf("a proxy needs %d MiB of memory, not %d", minMemory>>20, limit>>20)
	}
	both := budget.New(limit / 4 * 3)
	each := both.Limit() / 4 * 3
	return Memory{Limit: limit, Requests: both.Share(each), Replies: both.Share(each)}, nil
}

// clients is the default of maxmemory-clients.
func (m Memory) clients() int64 {
	if m.Limit == 0 {
		return defaultClientMemory
	}
	return m.Limit / 4
}

// cache is how much is remembered of registers between rounds; 0: the default.
func (m Memory) cache() int { return int(m.Limit / 32) }

// memory bounds what the buffers of all clients hold together, input and
// output. When the sum exceeds the limit, the client that holds most is
// disconnected (Redis's maxmemory-clients), rather than whoever happens to ask
// next: those that read their replies are left alone.
//
// Buffers are accounted for when they grow or shrink, which is rare, so one
// mutex for all does.
type memory struct {
	mu       sync.Mutex
	limit    int64 // bytes; 0: none
	ample    int64 // bytes up to which nobody has to wait for a client that does not read
	used     int64
	peak     int64
	evicted  int64 // clients
	accounts map[*account]struct{}
}

// account is one connection's share of a memory.
type account struct {
	of   *memory
	used int64  // bytes; guarded by of.mu
	gone bool   // closed, or evicted; guarded by of.mu
	kill func() // disconnects the client; must not block, nor use the memory
}

func newMemory(limit int64) *memory {
	return &memory{limit: limit, ample: limit / 2, accounts: map[*account]struct{}{}}
}

// crowded reports whether clients hold much together.
func (m *memory) crowded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used > m.ample
}

// open returns a new account. kill is called at most once, when the client
// holds most and all hold too much.
func (m *memory) open(kill func()) *account {
	a := &account{of: m, kill: kill}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts[a] = struct{}{}
	return a
}

// setLimit changes the limit, in bytes; 0 is none.
func (m *memory) setLimit(limit int64) {
	m.mu.Lock()
	m.limit = limit
	victims := m.evict()
	m.mu.Unlock()
	disconnect(victims)
}

// add accounts for n more bytes, or fewer if n is negative.
func (a *account) add(n int64) {
	if n == 0 {
		return
	}
	m := a.of
	m.mu.Lock()
	if a.gone {
		m.mu.Unlock()
		return
	}
	a.used += n
	m.used += n
	m.peak = max(m.peak, m.used)
	victims := m.evict()
	m.mu.Unlock()
	disconnect(victims)
}

// evict closes the accounts of the largest holders until the rest fits. What
// they hold counts as given back, which it soon is.
func (m *memory) evict() (victims []*account) {
	for m.limit > 0 && m.used > m.limit {
		var most *account
		for a := range m.accounts {
			if most == nil || a.used > most.used {
				most = a
			}
		}
		if most == nil || most.used == 0 {
			return victims
		}
		m.remove(most)
		m.evicted++
		victims = append(victims, most)
	}
	return victims
}

func (m *memory) remove(a *account) {
	if a.gone {
		return
	}
	a.gone = true
	m.used -= a.used
	delete(m.accounts, a)
}

// close ends the account; all its bytes are given back.
func (a *account) close() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.of.remove(a)
}

// bytes returns what the account holds.
func (a *account) bytes() int64 {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	return a.used
}

// total returns what all clients hold now and have held at most.
func (m *memory) total() (used, peak int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used, m.peak
}

// evictions returns how many clients were disconnected.
func (m *memory) evictions() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}

func disconnect(victims []*account) {
	for _, a := range victims {
		a.kill()
	}
}
