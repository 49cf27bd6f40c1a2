package content

import "github.com/tidwall/btree"

// A read that goes over many elements that were deleted lately costs as much as
// if they were there: until a compaction comes by, the disk has the element and
// a tombstone for each. gaps remembers where a register has none, so that the
// next read need not find out again: taking a million elements from a list's
// head one by one costs no more at the end than at the beginning. It is memory
// alone; what it does not know costs time, nothing else.
type gaps struct {
	// spans is from the first key of a gap to its end, which does not belong to
	// it. Gaps do not touch. An empty end is none.
	spans *btree.Map[string, string]
}

const (
	// GapWorth is how many dead elements make a gap worth remembering.
	GapWorth = 32
	// gapsMost bounds how many a register has.
	gapsMost = 1024
	gapBytes = 128 // of memory each takes, about
)

func (g *gaps) len() int {
	if g.spans == nil {
		return 0
	}
	return g.spans.Len()
}

// before returns the last gap that begins at or before key.
func (g *gaps) before(key string) (from, to string, ok bool) {
	if g.len() > 0 {
		g.spans.Descend(key, func(f, t string) bool {
			from, to, ok = f, t, true
			return false
		})
	}
	return from, to, ok
}

// at returns the gap in which a key lies.
func (g *gaps) at(key string) (from, to string, ok bool) {
	if from, to, ok = g.before(key); ok && to != "" && to <= key {
		ok = false
	}
	return from, to, ok
}

// below returns the gap in which the keys directly below end lie; an empty end
// is that of all.
func (g *gaps) below(end string) (from, to string, ok bool) {
	if g.len() == 0 {
		return "", "", false
	}
	if end == "" {
		from, to, ok = g.spans.Max()
		return from, to, ok && to == ""
	}
	if from, to, ok = g.before(end); ok && from == end {
		// It begins where the other would end; they do not touch.
		return "", "", false
	}
	return from, to, ok && (to == "" || to >= end)
}

// add notes that there is nothing from a key on up to another.
func (g *gaps) add(from, to string) {
	if to != "" && from >= to {
		return
	}
	if g.spans == nil {
		g.spans = new(btree.Map[string, string])
	}
	if f, t, ok := g.before(from); ok && (t == "" || t >= from) {
		from, to = f, furthest(to, t)
	}
	var swallowed []string
	g.spans.Ascend(from, func(f, t string) bool {
		if to != "" && f > to {
			return false
		}
		swallowed, to = append(swallowed, f), furthest(to, t)
		return true
	})
	for _, f := range swallowed {
		g.spans.Delete(f)
	}
	if g.spans.Len() >= gapsMost {
		g.spans.Clear()
	}
	g.spans.Set(from, to)
}

// furthest returns the higher of two ends.
func furthest(a, b string) string {
	if a == "" || b == "" {
		return ""
	}
	return max(a, b)
}

// put notes that there is an element now.
func (g *gaps) put(key []byte) {
	if g.len() == 0 {
		return
	}
	k := string(key)
	from, to, ok := g.at(k)
	if !ok {
		return
	}
	g.spans.Delete(from)
	if from < k {
		g.spans.Set(from, k)
	}
	// Too many of them: the upper part is forgotten.
	if next := k + "\x00"; (to == "" || next < to) && g.spans.Len() < gapsMost {
		g.spans.Set(next, to)
	}
}

// removed notes that an element is gone: the gaps beside it grow.
func (g *gaps) removed(key []byte) {
	if g.len() == 0 {
		return
	}
	k := string(key)
	if _, to, ok := g.before(k); ok && to == k {
		g.add(k, k+"\x00")
	} else if _, ok := g.spans.Get(k + "\x00"); ok {
		g.add(k, k+"\x00")
	}
}
