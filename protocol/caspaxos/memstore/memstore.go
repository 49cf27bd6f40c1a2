// Package memstore is a caspaxos.Store in memory, for tests and the simulator.
// It keeps a changelog whose tail may be lost, as a disk's is in a crash: what
// has not been synced is gone, and a new Store is built by replaying the rest.
package memstore

import (
	"slices"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// Store holds one lane's registers. Positions count log entries.
type Store struct {
	log     []durable.LogEntry
	synced  uint64
	records map[string]*held
	// Full makes Append fail, as a full disk does.
	Full error
	// Free is how much room there is, as Room tells it.
	Free diskroom.Room
	// Small is up to how many bytes, as View.Bytes has it, a state is not Large.
	Small int
}

type held struct {
	rec  durable.Record
	view register.View // the whole state
}

// New returns an empty store.
func New() *Store { return &Store{records: make(map[string]*held)} }

// Load implements caspaxos.Store.
func (s *Store) Load(r register.ID) (*durable.Record, error) {
	if h := s.records[r.Key]; h != nil {
		return &h.rec, nil
	}
	return nil, nil
}

// Create implements caspaxos.Store.
func (s *Store) Create(r register.ID) *durable.Record {
	h := &held{rec: durable.Record{Register: r}, view: register.Nothing()}
	s.records[r.Key] = h
	return &h.rec
}

// Project implements caspaxos.Store. It sends no more than was asked for, so
// that tests notice a command that relies on more.
func (s *Store) Project(rec *durable.Record, p register.Projection, size int) (register.View, bool, error) {
	v := s.records[rec.Register.Key].view.Project(p)
	return v, v.Bytes() <= size, nil
}

// Transfer implements caspaxos.Store.
func (s *Store) Transfer(rec *durable.Record, p register.Projection) (message.Transfer, error) {
	return s.records[rec.Register.Key].view.Project(p).Chunks(), nil
}

// Large implements caspaxos.Store.
func (s *Store) Large(rec *durable.Record) bool {
	return s.records[rec.Register.Key].view.Bytes() > s.Small
}

// Room implements caspaxos.Store.
func (s *Store) Room() diskroom.Room { return s.Free }

// Grows implements caspaxos.Store.
func (s *Store) Grows(rec *durable.Record, c *register.Change) (bool, error) {
	if rec == nil {
		return register.Nothing().Grows(*c), nil
	}
	return s.records[rec.Register.Key].view.Grows(*c), nil
}

// Append implements caspaxos.Store.
func (s *Store) Append(e durable.LogEntry) (uint64, error) {
	if s.Full != nil {
		return 0, s.Full
	}
	s.log = append(s.log, e)
	return uint64(len(s.log)), nil
}

// Apply implements caspaxos.Store.
func (s *Store) Apply(rec *durable.Record, c register.Change) {
	h := s.records[rec.Register.Key]
	h.view = h.view.Apply(c)
	rec.Header = h.view.Header
}

// Above implements caspaxos.Store.
func (s *Store) Above(b ballot.Ballot, f func(*durable.Record)) ballot.Ballot {
	for _, key := range s.Keys() {
		if h := s.records[key]; b.Less(h.rec.Accepted) {
			f(&h.rec)
		}
	}
	return ballot.Ballot{}
}

// Keys returns the keys of all records, in order.
func (s *Store) Keys() []string {
	keys := make([]string, 0, len(s.records))
	for k := range s.records {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// View returns the whole state of a register as it stands in memory.
func (s *Store) View(key string) register.View {
	if h := s.records[key]; h != nil {
		return h.view
	}
	return register.Nothing()
}

// Drop removes a record, as the dropping of a tombstone does (§8). It is not
// logged: call it on a store whose log does not matter any more.
func (s *Store) Drop(key string) { delete(s.records, key) }

// Synced returns the position up to which the log would survive a crash.
func (s *Store) Synced() uint64 { return s.synced }

// Appended returns the position behind the last entry.
func (s *Store) Appended() uint64 { return uint64(len(s.log)) }

// Sync makes the log durable up to a position.
func (s *Store) Sync(upTo uint64) { s.synced = max(s.synced, min(upTo, uint64(len(s.log)))) }

// Crash returns the store that a restart finds when the log was cut at a
// position no lower than Synced: empty but for the log. The caller replays Log
// into a new acceptor.
func (s *Store) Crash(at uint64) *Store {
	at = max(s.synced, min(at, uint64(len(s.log))))
	return &Store{log: slices.Clone(s.log[:at]), synced: at, Small: s.Small, Free: s.Free, records: make(map[string]*held)}
}

// Log returns the entries of the changelog; the position of entry i is i+1.
func (s *Store) Log() []durable.LogEntry { return s.log }
