package session

import (
	"context"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/proxy/txn"
)

// Backend runs what clients ask for. It is safe for concurrent use.
type Backend interface {
	// Now reads the monotonic clock of commands' Started times.
	Now() instant.Mono

	// Submit starts commands and calls Done of each exactly once, from any
	// goroutine and possibly before Submit returns. It does not block and keeps
	// the commands but not the slice. Commands of one caller on one register take
	// effect in the order of submission, those on different registers run
	// concurrently.
	Submit(cmds []*proposer.Command)

	// Snapshot runs read-only commands on one or more registers as of one moment
	// (PROTOCOL §7). It sets Result or Err of each, does not call their Done, and
	// calls done once with all of them. When they have run, then (unless nil) may
	// add commands to the snapshot, with the same Started, and is called again. If
	// one fails, all have an error. Earlier Submits of the same caller take effect
	// before. Snapshot does not block; the slice belongs to the Backend until done
	// is called.
	Snapshot(cmds []*proposer.Command, then txn.Then, done func(cmds []*proposer.Command))

	Keyspace
}

// Keyspace has the operations on all keys of a database. They block until they are
// done, ctx ends or the time limit of commands has passed. Their errors are those
// of proposer.Command.Err, possibly wrapped.
type Keyspace interface {
	// Scan visits about count keys of a database from the cursor on. It returns
	// those that match the glob pattern (nil: all) and have the named type ("":
	// all), and the next cursor. Zero begins and ends a scan. Any proxy can
	// continue another's.
	Scan(ctx context.Context, db byte, cursor uint64, match []byte, count int, typ string) (next uint64, keys [][]byte, err error)
	// Keys returns all keys of a database that match a glob pattern.
	Keys(ctx context.Context, db byte, pattern []byte) ([][]byte, error)
	// RandomKey returns a random key of a database; false if there is none.
	RandomKey(ctx context.Context, db byte) (key []byte, ok bool, err error)
	// Size returns how many keys a database has.
	Size(ctx context.Context, db byte) (int64, error)
	// Census quickly returns about how many keys each database has. What is not
	// known counts as zero.
	Census(ctx context.Context) [partition.Databases]listing.Tally
	// Flush removes all keys of the databases first to last.
	Flush(ctx context.Context, first, last byte) error
}
