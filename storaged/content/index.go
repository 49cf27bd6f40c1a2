package content

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

// Ranks and counts (Range.Skip, Projection.Counts) are asked for in the span
// that Type.Counted names. There, content in rows is divided into buckets whose
// elements are counted, so that a rank costs a look at every bucket and a walk
// through one of them, not through all elements. Buckets are rows, too, written in
// the same batch as the elements that they count: on disk the two always agree.

// Sizes of buckets, in elements. With a million elements, looking at every bucket
// and walking through one cost about the same.
const (
	BucketFull = 256            // at which one that grows at an end is full
	bucketMost = 2 * BucketFull // where one is split
	bucketFew  = BucketFull / 2 // up to which neighbours are merged

	bucketBytes = 96 // of memory each takes, about
)

// bucket counts a run of consecutive elements.
type bucket struct {
	first string // no element of it is below; the first bucket's is empty
	n     int
	saved bool // there is a row for it
	dirty bool // its row is missing or outdated
}

// index is the buckets of one register. There is at least one.
type index struct {
	span    register.Span
	buckets []bucket
	total   uint64
	gone    []string // first keys of merged buckets whose rows must be deleted

	// The lowest and the highest element, if ends is set.
	ends        bool
	bottom, top string
}

// newIndex returns the index of content without elements.
func newIndex(span register.Span) *index {
	return &index{span: span, buckets: []bucket{{dirty: true}}, ends: true}
}

// find returns the number of the bucket that a key belongs to.
func (x *index) find(key string) int {
	return sort.Search(len(x.buckets)-1, func(i int) bool { return x.buckets[i+1].first > key })
}

// bounds returns the span of a bucket.
func (x *index) bounds(i int) register.Span {
	s := x.span
	if i > 0 {
		s.From = []byte(x.buckets[i].first)
	}
	if i+1 < len(x.buckets) {
		s.To = []byte(x.buckets[i+1].first)
	}
	return s
}

// outside reports that a key is beyond both ends, so that it is no element's.
func (x *index) outside(key string) bool {
	return x.total == 0 || x.ends && (key > x.top || key < x.bottom)
}

// added notes a new element. It returns the number of a bucket that has become
// too large, or -1.
func (x *index) added(key string) (large int) {
	x.total++
	last := len(x.buckets) - 1
	switch {
	case x.total == 1:
		x.ends, x.bottom, x.top = true, key, key
	case x.ends && key > x.top:
		// Growing at an end leaves full buckets.
		x.top = key
		if x.buckets[last].n >= BucketFull {
			x.buckets = append(x.buckets, bucket{first: key, n: 1, dirty: true})
			return -1
		}
	case x.ends && key < x.bottom:
		if x.buckets[0].n >= BucketFull {
			was := x.buckets[0]
			x.buckets[0] = bucket{first: x.bottom, n: was.n, dirty: true}
			x.buckets = slices.Insert(x.buckets, 0, bucket{saved: was.saved})
		}
		x.bottom = key
	}
	i := x.find(key)
	b := &x.buckets[i]
	b.n, b.dirty = b.n+1, true
	if b.n > bucketMost {
		return i
	}
	return -1
}

// removed notes that an element was deleted. It returns false if the buckets did
// not count it.
func (x *index) removed(key string) bool {
	i := x.find(key)
	b := &x.buckets[i]
	if b.n == 0 {
		return false
	}
	x.total--
	b.n, b.dirty = b.n-1, true
	switch together := func(j int) bool { return b.n == 0 || b.n+x.buckets[j].n <= bucketFew }; {
	case i+1 < len(x.buckets) && together(i+1):
		x.merge(i)
	case i > 0 && together(i-1):
		x.merge(i - 1)
	}
	return true
}

// merge merges bucket i with the next one.
func (x *index) merge(i int) {
	next := x.buckets[i+1]
	x.buckets[i].n += next.n
	x.buckets[i].dirty = true
	if next.saved {
		x.gone = append(x.gone, next.first)
	}
	x.buckets = slices.Delete(x.buckets, i+1, i+2)
}

// split splits a bucket in two. It returns false if there are fewer elements than
// were counted.
func (x *index) split(s *source, i int) (bool, error) {
	b := &x.buckets[i]
	w := s.walk(x.bounds(i), false)
	half := b.n / 2
	for range half + 1 {
		if !w.next() {
			return false, w.err
		}
	}
	upper := bucket{first: string(w.appendKey(nil)), n: b.n - half, dirty: true}
	b.n, b.dirty = half, true
	x.buckets = slices.Insert(x.buckets, i+1, upper)
	return true, nil
}

// edge returns the rank of a key at or beyond the ends of all elements.
func (x *index) edge(key []byte) (rank uint64, ok bool) {
	k := string(key)
	switch {
	case key == nil || x.span.To != nil && k >= string(x.span.To) || x.ends && k > x.top:
		return x.total, true
	case k <= string(x.span.From) || x.ends && k <= x.bottom:
		return 0, true
	}
	return 0, false
}

// rank returns how many elements of the span are below key; nil is above all.
func (x *index) rank(s *source, key []byte) (uint64, error) {
	if n, ok := x.edge(key); ok {
		return n, nil
	}
	i := x.find(string(key))
	part := x.bounds(i)
	part.To = key
	n, err := s.count(part)
	for _, b := range x.buckets[:i] {
		n += uint64(b.n)
	}
	return n, err
}

// ranks returns how many elements are below either end of a part of the span.
func (x *index) ranks(s *source, part register.Span) (from, to uint64, err error) {
	if part.From != nil { // else it is the lower end, not the upper
		if from, err = x.rank(s, part.From); err != nil {
			return 0, 0, err
		}
	}
	_, outside := x.edge(part.To)
	if !outside && !part.Empty() && x.find(string(part.From)) == x.find(string(part.To)) {
		to, err = s.count(part)
		return from, from + to, err
	}
	to, err = x.rank(s, part.To)
	return from, max(from, to), err
}

// count counts the elements of a span one by one.
func (s *source) count(span register.Span) (n uint64, err error) {
	w := s.walk(span, false)
	for w.next() {
		n++
	}
	return n, w.err
}

// begin skips buckets at the start of a range in the counted span. It returns the
// rest of the range, and how many elements are skipped; none is set if all are.
func (x *index) begin(s *source, r register.Range) (rest register.Range, skipped uint64, none bool, err error) {
	from, to, err := x.ranks(s, r.Span())
	if err != nil {
		return r, 0, false, err
	}
	if r.Skip >= to-from {
		return r, to - from, true, nil
	}
	rest, skipped = r, r.Skip
	at := from + r.Skip
	if r.Reverse {
		at = to - 1 - r.Skip
	}
	i := 0
	for ; at >= uint64(x.buckets[i].n); i++ {
		at -= uint64(x.buckets[i].n)
	}
	switch span := x.bounds(i); {
	case r.Reverse && belowEnd(span.To, r.To):
		rest.To, rest.Skip = span.To, uint64(x.buckets[i].n)-1-at
	case !r.Reverse && string(span.From) > string(r.From):
		rest.From, rest.Skip = span.From, at
	}
	return rest, skipped, false, nil
}

// belowEnd reports whether one upper end is below another; nil is the highest.
func belowEnd(a, b []byte) bool {
	return a != nil && (b == nil || string(a) < string(b))
}

// contains reports whether a span lies in another.
func contains(outer, inner register.Span) bool {
	return string(inner.From) >= string(outer.From) && !belowEnd(outer.To, inner.To)
}

// bytes is the memory that the index takes, about.
func (x *index) bytes() int {
	if x == nil {
		return 0
	}
	return len(x.buckets) * (bucketBytes + len(x.top))
}

// readIndex returns the index of content in rows, nil if its type needs none. It
// is read when it is needed first.
func (c *State) readIndex(db pebble.Reader, rec *durable.Record, s *source) (*index, error) {
	if c.index != nil {
		return c.index, nil
	}
	span, ok := layout.Counted(rec.Header.Type)
	if !ok {
		return nil, nil
	}
	x := &index{span: span}
	if err := x.readBuckets(db, rowcodec.AppendRows(nil, rec.Register, rowcodec.RowBucket, c.Incarnation)); err != nil {
		return nil, err
	}
	if len(x.buckets) == 0 || x.buckets[0].first != "" {
		err := c.recount(s, span)
		return c.index, err
	}
	c.index = x
	return x, x.findEnds(s)
}

func (x *index) readBuckets(db pebble.Reader, prefix []byte) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: rowcodec.AppendAfter(nil, prefix)})
	if err != nil {
		return fmt.Errorf("read buckets: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		n, w := binary.Uvarint(value)
		if w <= 0 || n > 1<<40 {
			err = rowcodec.ErrRow
			break
		}
		x.buckets = append(x.buckets, bucket{first: string(it.Key()[len(prefix):]), n: int(n), saved: true})
		x.total += n
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read buckets: %w", err)
	}
	return nil
}

// findEnds finds the lowest and the highest element.
func (x *index) findEnds(s *source) error {
	for _, reverse := range []bool{false, true} {
		w := s.walk(x.span, reverse)
		switch {
		case !w.next():
			return w.err
		case reverse:
			x.top = string(w.appendKey(nil))
		default:
			x.bottom = string(w.appendKey(nil))
		}
	}
	x.ends = true
	return nil
}

// recount counts all elements anew.
func (c *State) recount(s *source, span register.Span) error {
	x := newIndex(span)
	w := s.walk(span, false)
	for w.next() {
		x.added(string(w.appendKey(nil)))
	}
	if w.err != nil {
		return w.err
	}
	c.index, c.Recounted = x, true
	return nil
}

// writeIndex writes the buckets that have changed. key begins with what all rows
// of the register do.
func (c *State) writeIndex(b *pebble.Batch, key []byte) error {
	prefix := rowcodec.AppendIncarnation(append(key, rowcodec.RowBucket), c.Incarnation)
	if c.Recounted {
		if err := b.DeleteRange(prefix, rowcodec.AppendAfter(nil, prefix), nil); err != nil {
			return fmt.Errorf("delete buckets: %w", err)
		}
		c.Recounted = false
	}
	x := c.index
	if x == nil {
		return nil
	}
	n := len(prefix)
	for _, first := range x.gone {
		if err := b.Delete(append(prefix[:n], first...), nil); err != nil {
			return fmt.Errorf("delete bucket: %w", err)
		}
	}
	x.gone = nil
	var value [binary.MaxVarintLen64]byte
	for i := range x.buckets {
		k := &x.buckets[i]
		if !k.dirty {
			continue
		}
		prefix = append(prefix[:n], k.first...)
		if err := b.Set(prefix, value[:binary.PutUvarint(value[:], uint64(k.n))], nil); err != nil {
			return fmt.Errorf("write bucket: %w", err)
		}
		k.dirty, k.saved = false, true
	}
	return nil
}
