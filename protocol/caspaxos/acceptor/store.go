package acceptor

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// hasRoom reports whether there is disk space for an Accept that would be voted for
// otherwise. rec may be nil.
func (a *Acceptor) hasRoom(req *message.Request, rec *durable.Record) (bool, error) {
	switch room := a.store.Room(); {
	case room == diskroom.RoomEnough:
		return true, nil
	case room == diskroom.RoomNone:
		return false, nil
	case req.Change.Stage != 0 || !req.Change.Puts(): // a staged state is on the disk already
		return true, nil
	case room == diskroom.RoomLow && req.Needed:
		return true, nil
	case room == diskroom.RoomLow:
		if rec == &a.scratch {
			rec = nil
		}
		grows, err := a.store.Grows(rec, &req.Change)
		return !grows, err
	}
	return false, nil
}

// Store keeps one lane's records and elements. Positions are those of the
// node's changelog: Append returns the position behind the entry; once the log
// is synced up to there, the entry is durable. An error means that nothing was
// changed; the acceptor then does not answer.
type Store interface {
	// Load returns the register's record, or nil if the node holds nothing of
	// it. It stays valid until the lane's step ends.
	Load(r register.ID) (*durable.Record, error)
	// Create makes an empty record for a register of which Load returned nil.
	Create(r register.ID) *durable.Record
	// Project returns the part of the record's state that p asks for; a small state may
	// be returned whole. If it takes more than size bytes, as View.Bytes counts, Project
	// returns false instead, without reading much more than that.
	Project(rec *durable.Record, p register.Projection, size int) (v register.View, fits bool, err error)
	// Transfer returns the same part, however large, as it is now, to be read while
	// the store goes on.
	Transfer(rec *durable.Record, p register.Projection) (message.Transfer, error)
	// Large reports whether a record's state is so large that sending it costs
	// much more than sending a change of it.
	Large(rec *durable.Record) bool
	// Room is how much room there is at present. It costs next to nothing.
	Room() diskroom.Room
	// Grows reports whether a change makes a record's state (nil: none yet) take as much
	// space as before, or more (register.Change.Grows).
	Grows(rec *durable.Record, c *register.Change) (bool, error)
	// Append writes an entry to the changelog without waiting for a sync.
	Append(e durable.LogEntry) (pos uint64, err error)
	// Apply changes the record's header and elements in memory by a write that is in the
	// changelog: it cannot fail, and the disk follows from the changelog. It is called
	// after the acceptor has set the record's other fields, so the store sees Accepted
	// and Pos.
	Apply(rec *durable.Record, c register.Change)
	// Above calls f for every record that it has in memory whose accepted
	// ballot is above b, and returns a bound on the accepted ballots of all
	// others: none of them is above it.
	Above(b ballot.Ballot, f func(*durable.Record)) (others ballot.Ballot)
}
