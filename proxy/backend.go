package proxy

import (
	"context"

	"synod/protocol/caspaxos"
	"synod/proxy/txn"
)

// Backend runs what clients ask for. It is safe for concurrent use.
type Backend interface {
	// Now reads the monotonic clock that commands' Started times are on.
	Now() caspaxos.Mono

	// Submit takes commands, whose Done it calls, each exactly once, from any
	// goroutine and possibly before Submit returns. Submit does not block and
	// keeps the commands but not the slice. Commands of one caller on one
	// register take effect in the order in which they were submitted, those on
	// different registers side by side.
	Submit(cmds []*caspaxos.Command)

	// Snapshot runs read-only commands, on at least one register, as one
	// (PROTOCOL §7): it sets Result or Err of each, does not use their Done,
	// and then calls done once, with all of them. When they are done, then (nil:
	// nothing) may add more commands to the snapshot, with the same Started, and
	// is called again. If one fails, all carry an error. A register's earlier
	// Submits of the same caller come before. It does not block; the slice is
	// the Backend's until done is called.
	Snapshot(cmds []*caspaxos.Command, then txn.Then, done func(cmds []*caspaxos.Command))

	Keyspace
}

// Keyspace is what looks at all keys of a database. Its methods block until
// they are done, ctx ends or the time limit of commands has passed; their
// errors are those of caspaxos.Command.Err, possibly wrapped.
type Keyspace interface {
	// Scan looks at about count keys of a database from cursor on and returns
	// those that match the glob pattern (nil: all) and have the type of that
	// name ("": all), and the cursor to go on from. Zero begins and ends a
	// scan. Any proxy can continue another's.
	Scan(ctx context.Context, db byte, cursor uint64, match []byte, count int, typ string) (next uint64, keys [][]byte, err error)
	// Keys returns all keys of a database that match a glob pattern.
	Keys(ctx context.Context, db byte, pattern []byte) ([][]byte, error)
	// RandomKey returns some key of a database; false if there is none.
	RandomKey(ctx context.Context, db byte) (key []byte, ok bool, err error)
	// Size returns how many keys a database has.
	Size(ctx context.Context, db byte) (int64, error)
	// Census returns about how many keys each database has, in little time; of
	// what is not known, nothing.
	Census(ctx context.Context) [caspaxos.Databases]caspaxos.Tally
	// Flush removes all keys of the databases first to last.
	Flush(ctx context.Context, first, last byte) error
}
