package content

import "github.com/tidwall/btree"

// A read over many elements that were deleted lately costs as much as if they
// still existed: until a compaction, the disk has the element and a tombstone for
// each. gaps remembers where there are no elements, so that the next read can skip
// them: popping a million elements from a list's head one by one is no slower at
// the end than at the beginning. It is only a cache: what it does not know costs
// time, nothing else.
type gaps struct {
	// spans maps the first key of a gap to its exclusive end; an empty end is
	// unbounded. Gaps do not touch.
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

// at returns the gap that contains a key.
func (g *gaps) at(key string) (from, to string, ok bool) {
	if from, to, ok = g.before(key); ok && to != "" && to <= key {
		ok = false
	}
	return from, to, ok
}

// below returns the gap that contains the keys directly below end; an empty end
// is above all keys.
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

// add notes that there is no element from one key up to another.
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

// put notes that an element was added.
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
	// If there are too many, the upper part is forgotten.
	if next := k + "\x00"; (to == "" || next < to) && g.spans.Len() < gapsMost {
		g.spans.Set(next, to)
	}
}

// removed notes that an element was deleted: a gap next to it grows.
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
