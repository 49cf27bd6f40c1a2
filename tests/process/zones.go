package process

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// A zone is the time in which all operations on one value of a register must
// take effect, next to each other: its write and the reads that returned it.
//
// Where every value is written once, a history is linearizable if and only if
// no two forward zones overlap, none contains a backward zone, and no read ended
// before its write began (Gibbons and Korach, "Testing Shared Memories", SIAM J.
// Comput. 26, 1997, §4). That takes a sort, while a search takes for ever when
// many clients write one register at the same time.
type zone struct {
	value    string
	from, to int64 // forward: the value is there from the one to the other
	forward  bool
}

// checkZones returns what is wrong with a register's history, or nil.
func checkZones(events []event) error {
	zones, err := zonesOf(events)
	if err != nil {
		return err
	}
	slices.SortFunc(zones, func(a, b zone) int { return cmp.Compare(a.from, b.from) })
	last := zone{to: math.MinInt64} // the forward zone that ends last, so far
	for _, z := range zones {
		switch {
		case z.forward && z.from < last.to:
			return fmt.Errorf("%q and %q were both there from %d to %d", last.value, z.value, z.from, min(z.to, last.to))
		case !z.forward && z.to < last.to && z.from > last.from:
			return fmt.Errorf("%q came and went from %d to %d, while %q was there", z.value, z.from, z.to, last.value)
		case z.forward:
			last = z
		}
	}
	return nil
}

// zonesOf returns a zone for each value. What is not known to have taken effect
// and was never read has none.
func zonesOf(events []event) ([]zone, error) {
	type span struct {
		begun       int64 // the write's
		first, last int64 // of all its operations: the end of the first to end, the begin of the last to begin
		counts      bool
	}
	spans := map[string]*span{"": {begun: math.MinInt64, first: math.MinInt64, last: math.MinInt64, counts: true}}
	for _, e := range events {
		if e.set != "" {
			s := &span{begun: e.call, first: e.end, last: e.call, counts: !e.unanswered}
			if e.unanswered {
				s.first = math.MaxInt64
			}
			if spans[e.set] != nil {
				return nil, fmt.Errorf("%q was written twice", e.set)
			}
			spans[e.set] = s
		}
	}
	for _, e := range events {
		if e.set != "" {
			continue
		}
		s := spans[e.got]
		if s == nil || e.end < s.begun {
			return nil, fmt.Errorf("%q was read before it was written", e.got)
		}
		s.first, s.last, s.counts = min(s.first, e.end), max(s.last, e.call), true
	}
	var zones []zone
	for value, s := range spans {
		if s.counts {
			zones = append(zones, zone{value, min(s.first, s.last), max(s.first, s.last), s.first < s.last})
		}
	}
	return zones, nil
}
