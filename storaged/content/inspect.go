package content

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/layout"
	"synod/protocol/register"
)

// What the tests of a store ask of contents in rows.

// CheckIndex compares the counts of the buckets with what count returns for a
// span. It returns the number of buckets and of the elements in them.
func (c *State) CheckIndex(db pebble.Reader, rec *durable.Record, count func(register.Span) uint64) (buckets int, total uint64, err error) {
	span, ok := layout.Counted(rec.Header.Type)
	if !ok || !c.Rows || c.index != nil && !contains(span, c.index.span) {
		return 0, 0, nil
	}
	s := c.source(db, rec.Register)
	defer s.close()
	x, err := c.readIndex(db, rec, s)
	if err != nil {
		return 0, 0, err
	}
	for i, b := range x.buckets {
		want := count(x.bounds(i))
		if total += want; uint64(b.n) != want {
			return 0, 0, fmt.Errorf("bucket %d of %d: %d elements, has %d", i, len(x.buckets), b.n, want)
		}
		if b.n > bucketMost || b.n == 0 && len(x.buckets) > 1 {
			return 0, 0, fmt.Errorf("bucket %d of %d has %d elements", i, len(x.buckets), b.n)
		}
	}
	if total != x.total {
		return 0, 0, fmt.Errorf("%d elements, counted are %d", total, x.total)
	}
	return len(x.buckets), total, nil
}

// Edge returns the first element, or the last one, and about how many that are
// gone were passed on the way to it.
func (c *State) Edge(db pebble.Reader, r register.ID, reverse bool) (key []byte, passed int, err error) {
	s := c.source(db, r)
	w := s.walk(register.Span{}, reverse)
	if w.next() {
		key = w.appendKey(nil)
	}
	passed, err = max(w.calls, w.passed), w.err
	if cerr := s.close(); err == nil {
		err = cerr
	}
	return key, passed, err
}
