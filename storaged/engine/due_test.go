package engine

import (
	"encoding/binary"
	"testing"

	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// A hash is listed as expired when the bound on its fields is past, too, until
// that moves; to a walk over keys it has no expiry.
func TestFieldsAreDue(t *testing.T) {
	r := newRig(t, testOptions(t))
	bounded := func(ms uint64) register.Change {
		c := set("v")
		c.Header.Type, c.Header.Aux = register.Hash, binary.BigEndian.AppendUint64(nil, ms)
		return c
	}
	due := func() int {
		t.Helper()
		r.settle()
		page, err := r.e.Expired(100, &listing.Request{Last: partition.Slots - 1, Limit: 25, Expired: true})
		if err != nil || !page.Done {
			t.Fatalf("%+v, %v", page, err)
		}
		return len(page.Entries)
	}
	id := key(1, "k")
	for _, c := range []struct {
		bound     uint64
		expiry    int64
		due, rows int
	}{
		{50, 0, 1, 2}, {100, 500, 1, 2}, {101, 500, 0, 2}, {700, 100, 1, 2}, {30, 40, 1, 2}, {700, 0, 0, 2}, {60, 0, 1, 2},
	} {
		change := bounded(c.bound)
		change.Header.Expiry = c.expiry
		r.accept(id, change)
		if got, rows := due(), r.registerRows(); got != c.due || rows != c.rows {
			t.Errorf("%+v: %d are due, %d rows", c, got, rows)
		}
		if page := r.list(1, 25); len(page) != 1 || page[0].Expiry != c.expiry {
			t.Errorf("%+v: listed as %+v", c, page)
		}
		r.reopen((*Engine).Close) // what the disk has is read again
	}
	r.accept(id, set("v"))
	if got, rows := due(), r.registerRows(); got != 0 || rows != 1 {
		t.Errorf("a string: %d are due, %d rows", got, rows)
	}
}
