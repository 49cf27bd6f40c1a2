package respio

import "sync"

// Memory bounds what the buffers of all clients hold together, input and output.
// When the sum exceeds the limit, the client that holds most is disconnected
// (Redis's maxmemory-clients), not the one that happens to ask next: clients that
// read their replies are left alone.
//
// Buffers are accounted for when they grow or shrink. That is rare, so one mutex
// for all is enough.
type Memory struct {
	mu       sync.Mutex
	limit    int64 // bytes; 0: none
	ample    int64 // bytes up to which no writer waits for a client that does not read
	used     int64
	peak     int64
	evicted  int64 // clients
	accounts map[*Account]struct{}
}

// Account is one connection's share of a Memory.
type Account struct {
	of   *Memory
	used int64  // bytes; guarded by of.mu
	gone bool   // closed or evicted; guarded by of.mu
	kill func() // disconnects the client
}

// NewMemory returns a Memory with a limit in bytes; 0 is none.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: limit, ample: limit / 2, accounts: map[*Account]struct{}{}}
}

// crowded reports whether clients hold much together.
func (m *Memory) crowded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used > m.ample
}

// Open returns a new account. kill is called at most once, when the client has to
// be disconnected; it must not block, nor use the Memory.
func (m *Memory) Open(kill func()) *Account {
	a := &Account{of: m, kill: kill}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts[a] = struct{}{}
	return a
}

// SetLimit changes the limit, in bytes; 0 is none.
func (m *Memory) SetLimit(limit int64) {
	m.mu.Lock()
	m.limit = limit
	victims := m.evict()
	m.mu.Unlock()
	disconnect(victims)
}

// Add accounts for n more bytes, or fewer if n is negative.
func (a *Account) Add(n int64) {
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

// evict closes the largest accounts until the rest fits. What they hold counts as
// free, as it soon is.
func (m *Memory) evict() (victims []*Account) {
	for m.limit > 0 && m.used > m.limit {
		var most *Account
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

func (m *Memory) remove(a *Account) {
	if a.gone {
		return
	}
	a.gone = true
	m.used -= a.used
	delete(m.accounts, a)
}

// Close ends the account and frees all its bytes.
func (a *Account) Close() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.of.remove(a)
}

// Bytes returns what the account holds.
func (a *Account) Bytes() int64 {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	return a.used
}

// Total returns what all clients hold now, and the most that they held at once.
func (m *Memory) Total() (used, peak int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used, m.peak
}

// Evictions returns how many clients were disconnected.
func (m *Memory) Evictions() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.evicted
}

func disconnect(victims []*Account) {
	for _, a := range victims {
		a.kill()
	}
}
