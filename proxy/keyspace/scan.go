package keyspace

import (
	"context"
	"math/rand/v2"

	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/proxy/datatype/glob"
)

const (
	// maxCount limits the keys that one SCAN looks at, whatever its COUNT.
	maxCount = 10_000
	// pageSize is how many keys KEYS asks for at a time.
	pageSize = 5_000
)

// Scan returns about count live keys from a cursor, before filtering, and the
// next cursor, which is zero at the end. match is a glob pattern (nil for all);
// typ is a type (Absent for all).
func (k *Keyspace) Scan(ctx context.Context, db byte, cursor uint64, match []byte, count int, typ register.Type) (uint64, [][]byte, error) {
	from := fromCursor(cursor)
	if from == end {
		return 0, nil, nil
	}
	var found [][]byte
	for looked := 0; ; {
		keys, next, err := k.page(ctx, db, from, lastSlot, min(max(count-looked, 1), maxCount))
		if err != nil {
			return 0, nil, err
		}
		for _, key := range keys {
			if (typ == register.Absent || key.Type == typ) && (match == nil || glob.Match(match, key.Name())) {
				found = append(found, key.Name())
			}
		}
		looked += len(keys)
		from = next
		// An empty range should not cost the client a call.
		if from == end || looked >= min(count, maxCount) {
			return from.cursor(), found, nil
		}
	}
}

const lastSlot = partition.Slots - 1

// walk calls f with every live key in a span of a database's slots.
func (k *Keyspace) walk(ctx context.Context, db byte, span partition.SlotSpan, f func(Key)) error {
	for from := (position{slot: span.First}); from.slot <= span.Last; {
		keys, next, err := k.page(ctx, db, from, span.Last, pageSize)
		if err != nil {
			return err
		}
		for _, key := range keys {
			f(key)
		}
		from = next
	}
	return nil
}

// Keys returns all live keys of a database that match a glob pattern.
func (k *Keyspace) Keys(ctx context.Context, db byte, pattern []byte) ([][]byte, error) {
	var found [][]byte
	all := string(pattern) == "*"
	err := k.walk(ctx, db, partition.SlotSpan{Last: lastSlot}, func(key Key) {
		// As in Redis, "*" means all keys, although the glob does not match the
		// empty key.
		if name := key.Name(); all || glob.Match(pattern, name) {
			found = append(found, name)
		}
	})
	return found, err
}

// RandomKey returns a live key of a database, or false if there is none. Keys
// after gaps in the hash order are slightly more likely.
func (k *Keyspace) RandomKey(ctx context.Context, db byte) ([]byte, bool, error) {
	begin := position{slot: uint16(rand.IntN(partition.Slots)), hash: rand.Uint64N(1 << 48)}
	from, wrapped := begin, false
	for {
		keys, next, err := k.page(ctx, db, from, lastSlot, 16)
		if err != nil {
			return nil, false, err
		}
		if len(keys) > 0 {
			return keys[rand.IntN(len(keys))].Name(), true, nil
		}
		switch from = next; {
		case wrapped && (from == end || begin.less(from)):
			return nil, false, nil // wrapped around completely
		case from == end:
			from, wrapped = position{}, true
		}
	}
}
