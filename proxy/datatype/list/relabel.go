package list

import (
	"bytes"
	"math/bits"
	"slices"

	"synod/protocol/register"
)

// If an insert finds no label between its neighbours, it spreads out the labels
// of a neighbourhood: the smallest one that then has wide enough gaps. The
// required gap doubles when the neighbourhood becomes four times as large. So
// after a spread, its parts have much wider gaps than they need, and it is
// spread again only after inserting a constant share of its items. The
// amortised cost of an insert is O(log² n) items. This is the list-labelling of
// Itai, Konheim and Rodeh, "A sparse table implementation of priority queues"
// (1981), with neighbourhoods around the insert instead of a fixed tree, as in
// Bender et al., "Two simplified algorithms for maintaining order in a list"
// (2002).

// spreadFrom is the initial number of items on each side of an insert.
const spreadFrom = 16

// apart is the required gap between n labels after a spread. It is less than
// the stride for any possible list, so a neighbourhood created by pushes is
// always wide enough.
func apart(n int) uint64 { return 64 << (bits.Len(uint(n)/spreadFrom) / 2) }

// spread makes room before the i-th element and returns the ops that store the
// item there. ok is false if the whole list should be relabelled. The next
// insert will probably be next to this one, so half of the room is left around
// it.
func (l *layout) spread(elems []register.Element, i int, item []byte) (ops []register.Op, ok bool) {
	for around := spreadFrom; ; around *= 2 {
		from, to := max(0, i-around), min(len(elems), i+around)
		if from == 0 && to == len(elems) {
			return nil, false
		}
		n := to - from + 1
		low, high := l.bounds(elems, from, to)
		step := (high - low) / uint64(n+1)
		if step < apart(n) {
			continue
		}
		labels := make([]uint64, n)
		spare := (high - low - step/2*uint64(n+1)) / 2
		for j := range labels {
			labels[j] = low + step/2*uint64(j+1)
			if j >= i-from {
				labels[j] += spare
			}
			if j > i-from {
				labels[j] += spare
			}
		}
		l.aligned = false
		if from == 0 {
			l.first = labels[0]
		}
		if to == len(elems) {
			l.last = labels[n-1]
		}
		items := slices.Insert(values(elems[from:to]), i-from, item)
		return relabel(elems[from:to], labels, items), true
	}
}

// bounds returns the limits for a neighbourhood's labels. At an end of the
// list, there is as much room as pushes would use.
func (l *layout) bounds(elems []register.Element, from, to int) (low, high uint64) {
	room := uint64(to-from) * stride
	if from > 0 {
		low = labelOf(elems[from-1].Key)
	} else {
		low = l.first - min(room, l.first-lowest)
	}
	if to < len(elems) {
		return low, labelOf(elems[to].Key)
	}
	return low, l.last + min(room, highest-l.last)
}

// relabel returns the ops that replace elements with items at new labels, both
// in order.
func relabel(elems []register.Element, labels []uint64, items [][]byte) (ops []register.Op) {
	for i, label := range labels {
		for len(elems) > 0 && labelOf(elems[0].Key) < label {
			ops = append(ops, register.Op{Kind: register.Remove, Key: elems[0].Key})
			elems = elems[1:]
		}
		if len(elems) > 0 && labelOf(elems[0].Key) == label {
			same := bytes.Equal(elems[0].Value, items[i])
			elems = elems[1:]
			if same {
				continue
			}
		}
		ops = append(ops, register.Op{Kind: register.Put, Key: keyOf(label), Value: items[i]})
	}
	return removals(ops, elems)
}
