package pages

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/listing"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

// expirySteps bounds the work of one call of Expired.
const expirySteps = 4096

// ListExpired fills a page of registers that have expired at the wall clock time
// now, in Unix milliseconds.
func ListExpired(db pebble.Reader, now int64, q *listing.Request, reply *listing.Reply) error {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{rowcodec.PrefixExpiry, byte(q.First >> 8), byte(q.First)},
		UpperBound: rowcodec.AppendAfter(nil, []byte{rowcodec.PrefixExpiry, byte(q.Last >> 8), byte(q.Last)}),
	})
	if err != nil {
		return err
	}
	err = findExpired(it, now, q, reply)
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	return err
}

func findExpired(it *pebble.Iterator, now int64, q *listing.Request, reply *listing.Reply) error {
	const head = 3 + 8
	limit, bytes := min(max(q.Limit, 1), PageLimit), 0
	ok := it.First()
	for step := 0; ok; step++ {
		key := it.Key()
		if len(key) <= head {
			return rowcodec.ErrRow
		}
		slot := binary.BigEndian.Uint16(key[1:])
		if step == expirySteps || len(reply.Entries) == limit || bytes > pageBytes {
			reply.NextSlot = slot
			return nil
		}
		if int64(binary.BigEndian.Uint64(key[3:])) > now {
			ok = it.SeekGE([]byte{rowcodec.PrefixExpiry, byte((slot + 1) >> 8), byte(slot + 1)})
			continue
		}
		r := register.ID{Slot: slot, Key: string(key[head:])}
		reply.Entries = append(reply.Entries, listing.Entry{Register: r})
		bytes += len(r.Key)
		ok = it.Next()
	}
	reply.Done = true
	return it.Error()
}
