// Package engine stores what a storage node's acceptors hold: it implements
// caspaxos.Store, one Lane for each acceptor, and is the only importer of
// Pebble.
//
// # The changelog is the write-ahead log
//
// An Accept is durable once its entry in the changelog is: one append, shared
// by all lanes, and one sync. Positions are entry numbers. Pebble lies behind
// it, without a log of its own: lanes bring their changes there after the fact,
// in batches that carry the lane's replay position, so that data and position
// are atomic, and only when the log is synced past what they show. A restart
// replays the log from there; see apply.go for why replaying an entry that a
// row has already seen does no harm. Overwrites of a hot register cost Pebble
// one row.
//
// # Large collections
//
// Content beyond some size is rows, one for each element (see rows.go). What
// the disk does not have yet is laid over it when parts are read (walk.go), the
// places where many were deleted are remembered (gaps.go), elements whose ranks
// commands ask for are counted in buckets (index.go), and a state that is large
// is read page by page from a snapshot (pages.go). One that comes in pieces is
// written to the disk before its lane votes for it (stage.go).
//
// # What it promises
//
//   - What Synced reports survives any crash, whole: an entry is there with all
//     its effects, or not at all.
//   - A torn tail, as a crash leaves it, is cut off. It is told from damage to
//     what was acknowledged by who knows how far the log was durable: markers in
//     the log, Pebble, and a position file of its own (position.go). Nothing is
//     cut off before they were asked.
//   - Damage to what was acknowledged, or to what tells of it, is ErrDamaged:
//     the store does not open, or ends when it comes across it.
//   - A failed sync ends the store (Options.Fatal): what is on disk is unknown.
//   - A full disk does not: appends are refused with ErrNoSpace, what waits is
//     not acknowledged, and both go on when there is room. Below
//     Options.MinFreeBytes appends of votes are refused already, so that what
//     needs room to make room has some left.
//   - Memory is bounded: the cache of hot registers by Options.CacheBytes, what
//     waits for a sync and for Pebble by constants; beyond, appends are refused
//     with ErrBacklog.
//
// # Who calls what
//
// A Lane belongs to its goroutine, which calls Maintain after each batch of
// steps and whenever Options.Wake asks for it. Everything else is safe for
// concurrent use.
package engine
