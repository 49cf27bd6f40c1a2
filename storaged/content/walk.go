package content

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tidwall/btree"

	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

// layer holds elements that the disk does not have yet, in byte order. A copy
// costs nothing until one of the two is changed.
type layer = btree.Map[string, cell]

// cell is the value of such an element.
type cell struct {
	value []byte
	gone  bool
}

// source is where the elements of content in rows are read from: the disk, and
// over it the changes that it does not have yet.
type source struct {
	over   [2]*layer     // the newest first; nil: nothing
	disk   pebble.Reader // nil: nothing there
	prefix []byte        // of the rows on disk
	gaps   *gaps         // nil: none are remembered

	row []byte           // a row's key being made
	it  *pebble.Iterator // of the walk

	absence *pebble.Iterator // asks for elements that probably do not exist
	high    []byte           // a bound of it being made
	pool    []byte           // for copies of keys and values
}

// close ends what reading has opened.
func (s *source) close() error {
	var err error
	for _, it := range []*pebble.Iterator{s.it, s.absence} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	s.it, s.absence = nil, nil
	if err != nil {
		return fmt.Errorf("read elements: %w", err)
	}
	return nil
}

// get returns the value of one element, which may be shared.
func (s *source) get(key []byte) (value []byte, ok bool, err error) {
	if c, known := s.unwritten(key); known || s.disk == nil {
		return c.value, known && !c.gone, nil
	}
	err = s.lookOnDisk(key, func(v []byte) { value, ok = s.keep(v), true })
	return value, ok, err
}

// has reports whether an element exists. Unless that is likely, it asks the bloom
// filters first, so that most elements which do not exist cost no read.
func (s *source) has(key []byte, likely bool) (ok bool, err error) {
	if c, known := s.unwritten(key); known || s.disk == nil {
		return known && !c.gone, nil
	}
	if likely {
		err = s.lookOnDisk(key, func([]byte) { ok = true })
		return ok, err
	}
	if s.absence == nil {
		// A plain Get does not ask the filters of the last level, where most
		// rows are.
		if s.absence, err = s.disk.NewIter(&pebble.IterOptions{UseL6Filters: true}); err != nil {
			return false, fmt.Errorf("read element: %w", err)
		}
	}
	s.row = append(append(s.row[:0], s.prefix...), key...)
	ok = s.absence.SeekPrefixGE(s.row)
	if err = s.absence.Error(); err != nil {
		return false, fmt.Errorf("read element: %w", err)
	}
	return ok, nil
}

// unwritten returns a change of an element that the disk does not have yet.
func (s *source) unwritten(key []byte) (c cell, known bool) {
	for _, over := range s.over {
		if over != nil {
			if c, known = over.Get(string(key)); known {
				return c, true
			}
		}
	}
	return c, false
}

// lookOnDisk calls f with the value of an element that the disk has. It is
// valid during the call.
func (s *source) lookOnDisk(key []byte, f func(value []byte)) error {
	s.row = append(append(s.row[:0], s.prefix...), key...)
	value, closer, err := s.disk.Get(s.row)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read element: %w", err)
	}
	f(value)
	return closer.Close()
}

// keep copies bytes that are valid for a short time only. Many small copies share
// an allocation.
func (s *source) keep(b []byte) []byte {
	const most = 64 << 10
	if len(b) == 0 {
		return nil
	}
	if cap(s.pool)-len(s.pool) < len(b) {
		s.pool = make([]byte, 0, max(len(b), min(most, max(256, 2*cap(s.pool)))))
	}
	n := len(s.pool)
	s.pool = append(s.pool, b...)
	return s.pool[n:len(s.pool):len(s.pool)]
}

// walk goes over the elements of a span in one direction. Only one walk of a
// source may be under way.
type walk struct {
	src     *source
	span    register.Span
	reverse bool

	heads [3]bool // which of the layers, and of the disk, the last, are at an element
	over  [2]btree.MapIter[string, cell]
	at    int     // which has the present element; -1: none yet
	same  [3]bool // which are at its key

	pos    []byte // all before it was walked over; reversed, all from it on
	open   bool   // reversed and pos is the end of all
	dead   int    // deleted elements passed since pos
	passed int    // deleted elements passed in the layers, in total
	calls  int    // of the iterator, so far
	err    error
}

const onDisk = 2 // the number of the disk among the heads

// walk begins before the first element of a span.
func (s *source) walk(span register.Span, reverse bool) *walk {
	w := &walk{src: s, span: span, reverse: reverse, at: -1}
	if span.Empty() {
		return w
	}
	if reverse {
		w.pos, w.open = bytes.Clone(span.To), span.To == nil
	} else {
		w.pos = bytes.Clone(span.From)
	}
	for i, over := range s.over {
		if over != nil {
			w.over[i] = over.Iter()
		}
	}
	if s.disk != nil {
		w.err = s.bound(span)
	}
	if !w.leap() {
		w.seek(string(w.pos), w.open)
	}
	return w
}

// bound has the iterator go over a span.
func (s *source) bound(span register.Span) (err error) {
	s.row = append(append(s.row[:0], s.prefix...), span.From...)
	if span.To == nil {
		s.high = rowcodec.AppendAfter(s.high[:0], s.prefix)
	} else {
		s.high = append(append(s.high[:0], s.prefix...), span.To...)
	}
	if s.it != nil {
		s.it.SetBounds(s.row, s.high)
		s.it.ResetStats()
		return nil
	}
	if s.it, err = s.disk.NewIter(&pebble.IterOptions{LowerBound: s.row, UpperBound: s.high}); err != nil {
		return fmt.Errorf("read elements: %w", err)
	}
	return nil
}

// next goes to the next element that exists.
func (w *walk) next() bool {
	if w.at >= 0 {
		w.leave()
	}
	for w.err == nil && w.nearest() {
		if w.at == onDisk || !w.over[w.at].Value().gone {
			w.found()
			return true
		}
		w.dead++
		w.passed++
		w.step()
	}
	w.at = -1
	if w.err == nil {
		w.ended()
	}
	return false
}

// leave goes on from the current element.
func (w *walk) leave() {
	if w.src.gaps == nil {
		w.step()
		return
	}
	w.pos = w.appendKey(w.pos[:0])
	if !w.reverse {
		w.pos = append(w.pos, 0)
	}
	w.open, w.dead = false, 0
	if !w.leap() {
		w.step()
	}
}

// leap skips the gap that begins here, if there is one.
func (w *walk) leap() bool {
	g := w.src.gaps
	if g == nil || g.len() == 0 {
		return false
	}
	if w.reverse {
		if len(w.pos) == 0 && !w.open {
			return false // nothing can be below
		}
		end := string(w.pos)
		if w.open {
			end = ""
		}
		from, _, ok := g.below(end)
		if ok {
			w.seek(from, false)
		}
		return ok
	}
	_, to, ok := g.at(string(w.pos))
	if ok {
		w.seek(to, to == "")
	}
	return ok
}

// found remembers the gap on the way to an element.
func (w *walk) found() {
	if w.dead < GapWorth || w.src.gaps == nil {
		return
	}
	key := string(w.appendKey(nil))
	switch {
	case !w.reverse:
		w.src.gaps.add(string(w.pos), key)
	case w.open:
		w.src.gaps.add(key+"\x00", "")
	default:
		w.src.gaps.add(key+"\x00", string(w.pos))
	}
	w.dead = 0
}

// ended remembers the gap on the way to the end.
func (w *walk) ended() {
	if w.dead < GapWorth || w.src.gaps == nil {
		return
	}
	switch {
	case !w.reverse:
		w.src.gaps.add(string(w.pos), string(w.span.To))
	case w.open:
		w.src.gaps.add(string(w.span.From), "")
	default:
		w.src.gaps.add(string(w.span.From), string(w.pos))
	}
	w.dead = 0
}

// seek goes to the first element at or above key, or reversed to the last one
// below it. With end, key is the end of all.
func (w *walk) seek(key string, end bool) {
	for i := range w.over {
		it := &w.over[i]
		switch {
		case w.src.over[i] == nil:
			continue
		case !w.reverse:
			w.heads[i] = !end && it.Seek(key)
		case end || !it.Seek(key):
			w.heads[i] = it.Last()
		default:
			w.heads[i] = it.Prev()
		}
		w.within(i)
	}
	s := w.src
	if s.it == nil || w.err != nil {
		return
	}
	if !end {
		s.row = append(append(s.row[:0], s.prefix...), key...)
	}
	switch {
	case w.reverse && end:
		w.heads[onDisk] = s.it.Last()
	case w.reverse:
		w.heads[onDisk] = s.it.SeekLT(s.row)
	case end:
		w.heads[onDisk] = false
		return
	default:
		w.heads[onDisk] = s.it.SeekGE(s.row)
	}
	w.moved()
}

// step goes on with all that are at the present key.
func (w *walk) step() {
	for i := range w.over {
		if !w.same[i] {
			continue
		}
		if w.reverse {
			w.heads[i] = w.over[i].Prev()
		} else {
			w.heads[i] = w.over[i].Next()
		}
		w.within(i)
	}
	if !w.same[onDisk] {
		return
	}
	if w.reverse {
		w.heads[onDisk] = w.src.it.Prev()
	} else {
		w.heads[onDisk] = w.src.it.Next()
	}
	w.moved()
}

// within ends a layer's part at the end of the span.
func (w *walk) within(i int) {
	if !w.heads[i] {
		return
	}
	key := w.over[i].Key()
	if w.reverse {
		w.heads[i] = key >= string(w.span.From)
	} else {
		w.heads[i] = w.span.To == nil || key < string(w.span.To)
	}
}

// moved follows a move of the iterator.
func (w *walk) moved() {
	it := w.src.it
	if !w.heads[onDisk] {
		if err := it.Error(); err != nil {
			w.err = fmt.Errorf("read elements: %w", err)
		}
	}
	if w.src.gaps == nil {
		return
	}
	// Only the statistics show what the iterator itself has skipped.
	stats := it.Stats()
	const inside = pebble.InternalIterCall
	calls := stats.ForwardSeekCount[inside] + stats.ReverseSeekCount[inside] +
		stats.ForwardStepCount[inside] + stats.ReverseStepCount[inside]
	w.dead += max(0, calls-w.calls-1)
	w.calls = calls
}

// nearest finds the present element.
func (w *walk) nearest() bool {
	best := -1
	w.same = [3]bool{}
	for i, ok := range w.heads {
		if !ok {
			continue
		}
		c := -1
		if best >= 0 {
			if c = w.compare(i, best); w.reverse {
				c = -c
			}
		}
		switch {
		case c < 0:
			best = i
			w.same = [3]bool{}
			w.same[i] = true
		case c == 0:
			w.same[i] = true
		}
	}
	w.at = best
	return best >= 0
}

// compare compares the keys of two heads, the second of which is a layer.
func (w *walk) compare(i, j int) int {
	theirs := w.over[j].Key()
	if i != onDisk {
		return strings.Compare(w.over[i].Key(), theirs)
	}
	key := w.diskKey()
	switch {
	case string(key) < theirs:
		return -1
	case string(key) == theirs:
		return 0
	}
	return 1
}

func (w *walk) diskKey() []byte { return w.src.it.Key()[len(w.src.prefix):] }

// appendKey appends the present element's key.
func (w *walk) appendKey(b []byte) []byte {
	if w.at == onDisk {
		return append(b, w.diskKey()...)
	}
	return append(b, w.over[w.at].Key()...)
}

// element returns a copy of the current element.
func (w *walk) element() register.Element {
	s := w.src
	if w.at != onDisk {
		it := &w.over[w.at]
		return register.Element{Key: s.keep([]byte(it.Key())), Value: it.Value().value}
	}
	value, err := s.it.ValueAndErr()
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("read elements: %w", err)
	}
	return register.Element{Key: s.keep(w.diskKey()), Value: s.keep(value)}
}
