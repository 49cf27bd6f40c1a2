// Package engine stores what a storage node's acceptors hold: it implements
// acceptor.Store, one Lane for each acceptor. It decides what goes to Pebble when
// and in which batch, and recovers what the changelog has.
//
// # The changelog is the write-ahead log
//
// An Accept is durable once its entry in the changelog is: one append, shared
// by all lanes, and one sync. Positions are entry numbers. Pebble has no log of
// its own: lanes write their changes to it later, in batches that carry the lane's
// replay position, so that data and position are atomic, and only once the log is
// synced past what they show. A restart replays the log from there; apply.go says
// why it is harmless to replay an entry whose effect a row already has. Overwrites
// of a hot register cost Pebble one row.
//
// # Large collections
//
// Package content keeps the content of a register. Beyond some size it is rows, one
// for each element, and a large state is read page by page from a snapshot
// (pages.go). One that arrives in chunks is written to the disk before its lane
// votes for it (stage.go).
//
// # What it promises
//
//   - What Synced reports survives any crash, each entry with all its effects or
//     not at all.
//   - A torn tail, as a crash leaves it, is cut off. Markers in the log, Pebble and
//     the position file say how far the log was durable, and so tell a torn tail
//     from damage. Nothing is cut off before they are consulted.
//   - Damage to what was acknowledged, or to what witnesses it, is ErrDamaged: the
//     store does not open, or ends when it finds the damage.
//   - A failed sync ends the store (Options.Fatal): what is on disk is unknown.
//   - A full disk does not: appends are refused with ErrNoSpace, and what waits is
//     not acknowledged, until there is space. Below Options.MinFreeBytes, votes that
//     add data are refused already, so that some space is left for freeing space.
//   - Memory is bounded: the cache of hot registers by Options.CacheBytes, what
//     waits for a sync and for Pebble by constants. Beyond, appends are refused with
//     ErrBacklog.
//
// # Who calls what
//
// A Lane belongs to its goroutine, which calls Maintain after each batch of
// steps and whenever Options.Wake asks for it. Everything else is safe for
// concurrent use.
package engine
