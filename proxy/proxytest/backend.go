// Package proxytest has helpers for tests of the front end: an in-memory
// session.Backend that runs operations one at a time, without consensus and
// disk, and a raw client.
package proxytest

import (
	"cmp"
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/proxy/datatype/glob"
	"synod/proxy/txn"
)

// Backend is a database in memory.
type Backend struct {
	// Fault, if not nil, is called before each command. If it returns an error,
	// the command fails with it and changes nothing.
	Fault func(*proposer.Command) error
	start time.Time
	mu    sync.Mutex
	views map[string]register.View // by register key
	depth int                      // maximum number of commands in one Submit
	held  bool
	queue []func() // waiting for Release
	count int      // commands in queue
}

// New returns an empty database.
func New() *Backend {
	return &Backend{start: time.Now(), views: map[string]register.View{}}
}

// Now is the time since New.
func (b *Backend) Now() instant.Mono { return instant.Mono(time.Since(b.start)) }

// Depth returns the maximum number of commands in one Submit.
func (b *Backend) Depth() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.depth
}

// Hold queues all commands submitted from now on until Release.
func (b *Backend) Hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = true
}

// Release runs the queued commands in order.
func (b *Backend) Release() {
	b.mu.Lock()
	queue := b.queue
	b.held, b.queue, b.count = false, nil, 0
	b.mu.Unlock()
	for _, run := range queue {
		run()
	}
}

// Waiting returns the number of queued commands.
func (b *Backend) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// Submit runs the commands at once, or queues them after Hold.
func (b *Backend) Submit(cmds []*proposer.Command) {
	cmds = slices.Clone(cmds)
	b.do(len(cmds), func() {
		b.run(cmds)
		for _, c := range cmds {
			c.Done(c)
		}
	})
}

// Snapshot runs the commands atomically.
func (b *Backend) Snapshot(cmds []*proposer.Command, then txn.Then, done func([]*proposer.Command)) {
	b.do(len(cmds), func() {
		for more := cmds; len(more) > 0; {
			b.run(more)
			if more = nil; then != nil && !slices.ContainsFunc(cmds, func(c *proposer.Command) bool { return c.Err != nil }) {
				more = then(cmds)
				cmds = append(cmds[:len(cmds):len(cmds)], more...)
			}
		}
		done(cmds)
	})
}

func (b *Backend) do(n int, run func()) {
	b.mu.Lock()
	if b.held {
		b.queue, b.count = append(b.queue, run), b.count+n
		b.mu.Unlock()
		return
	}
	b.mu.Unlock()
	run()
}

func (b *Backend) run(cmds []*proposer.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.depth = max(b.depth, len(cmds))
	now := time.Now().UnixMilli()
	for _, c := range cmds {
		if b.Fault != nil {
			if c.Err = b.Fault(c); c.Err != nil {
				continue
			}
		}
		view := b.view(c.Register.Key, now)
		effect := c.Op.Execute(view, now)
		if effect.Need != nil {
			panic("proxytest: an operation needs more than everything")
		}
		if next := view.Apply(effect.Change); next.Header.Exists() {
			b.views[c.Register.Key] = next
		} else {
			delete(b.views, c.Register.Key)
		}
		c.Result = effect.Result
	}
}

// view returns a register's state; an expired one is gone.
func (b *Backend) view(key string, now int64) register.View {
	v, ok := b.views[key]
	if !ok || v.Header.Expired(now) {
		delete(b.views, key)
		return register.Nothing()
	}
	return v
}

// live returns the keys of a database ordered by hash, which is the scan order.
func (b *Backend) live(db byte) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now().UnixMilli()
	var keys []string
	for _, k := range slices.Collect(maps.Keys(b.views)) {
		if k[0] == db && b.view(k, now).Header.Exists() {
			keys = append(keys, k[1:])
		}
	}
	slices.SortFunc(keys, func(x, y string) int { return cmp.Compare(hash(x), hash(y)) })
	return keys
}

func hash(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return max(h.Sum64(), 1)
}

// Scan returns the keys whose hash is at least the cursor.
func (b *Backend) Scan(_ context.Context, db byte, cursor uint64, match []byte, count int, typ string) (uint64, [][]byte, error) {
	var found [][]byte
	for _, key := range b.live(db) {
		if hash(key) < cursor {
			continue
		}
		if count == 0 {
			return hash(key), found, nil
		}
		count--
		if (match == nil || glob.Match(match, []byte(key))) && (typ == "" || b.typeOf(db, key) == typ) {
			found = append(found, []byte(key))
		}
	}
	return 0, found, nil
}

func (b *Backend) typeOf(db byte, key string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.views[string(db)+key].Header.Type.String()
}

// Keys returns the matching keys; "*" matches all.
func (b *Backend) Keys(_ context.Context, db byte, pattern []byte) ([][]byte, error) {
	var found [][]byte
	for _, key := range b.live(db) {
		if string(pattern) == "*" || glob.Match(pattern, []byte(key)) {
			found = append(found, []byte(key))
		}
	}
	return found, nil
}

// RandomKey returns the first key of a scan.
func (b *Backend) RandomKey(_ context.Context, db byte) ([]byte, bool, error) {
	keys := b.live(db)
	if len(keys) == 0 {
		return nil, false, nil
	}
	return []byte(keys[0]), true, nil
}

// Size returns the number of keys.
func (b *Backend) Size(_ context.Context, db byte) (int64, error) {
	return int64(len(b.live(db))), nil
}

// Census returns the number of keys of each database.
func (b *Backend) Census(context.Context) (sums [partition.Databases]listing.Tally) {
	for db := range byte(partition.Databases) {
		for _, key := range b.live(db) {
			one := listing.Tally{Keys: 1}
			b.mu.Lock()
			if at := b.views[string(db)+key].Header.Expiry; at != 0 {
				one.Expiring, one.Expiry = 1, at
			}
			b.mu.Unlock()
			sums[db] = sums[db].Plus(one)
		}
	}
	return sums
}

// Flush removes all keys.
func (b *Backend) Flush(_ context.Context, first, last byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.views, func(key string, _ register.View) bool { return key[0] >= first && key[0] <= last })
	return nil
}
