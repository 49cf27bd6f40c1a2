package engine

import (
	"bytes"
	"slices"

	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/storaged/changelog"
	"synod/storaged/pages"
	"synod/storaged/rowcodec"
	"synod/storaged/rules"
)

// unwritten asks the lanes, each for about limit registers and whole slots.
func (e *Engine) unwritten(q *listing.Request, limit int) (*pages.Overlay, error) {
	answers := make(chan *pages.Overlay, len(e.lanes))
	for _, l := range e.lanes {
		l.do(func() { answers <- l.overlay(q, limit) })
	}
	all := &pages.Overlay{Last: q.Last}
	for range e.lanes {
		select {
		case o := <-answers:
			all.Registers = append(all.Registers, o.Registers...)
			all.Last, all.Shown = min(all.Last, o.Last), max(all.Shown, o.Shown)
		case <-e.stop:
			return nil, changelog.ErrClosed
		}
	}
	all.Registers = slices.DeleteFunc(all.Registers, func(u pages.Unwritten) bool { return u.Listed.Register.Slot > all.Last })
	slices.SortFunc(all.Registers, func(a, b pages.Unwritten) int { return bytes.Compare(a.Row, b.Row) })
	return all, nil
}

func (l *Lane) overlay(q *listing.Request, limit int) *pages.Overlay {
	o := &pages.Overlay{Last: q.Last, Shown: l.lastPos.Load()}
	if l.bySlot == nil {
		return o
	}
	for slot := q.First; ; slot++ {
		for e := l.bySlot[slot]; e != nil; e = e.slotNext {
			r := e.rec.Register
			hash := partition.Hash48(r.Key)
			if l.omits(rules.ListUnwritten) || r.Key[0] != q.Space || slot == q.First && hash < q.From {
				continue
			}
			o.Registers = append(o.Registers, pages.Unwritten{Row: rowcodec.AppendRegister(nil, r), Listed: listing.Entry{
				Register: r, Hash: hash, Accepted: e.rec.Accepted, Type: uint8(e.rec.Header.Type), Expiry: e.rec.Header.Expiry,
			}})
		}
		if slot == q.Last || len(o.Registers) >= limit {
			o.Last = slot
			return o
		}
	}
}

// file adds a register to the list of those that Pebble does not have as they are.
func (l *Lane) file(e *entry) {
	if l.bySlot == nil {
		l.bySlot = new([partition.Slots]*entry)
	}
	head := &l.bySlot[e.rec.Register.Slot%partition.Slots]
	if e.slotNext = *head; *head != nil {
		(*head).slotPrev = e
	}
	*head = e
}

// unfile removes a register, which Pebble has, from that list.
func (l *Lane) unfile(e *entry) {
	if e.slotPrev != nil {
		e.slotPrev.slotNext = e.slotNext
	} else {
		l.bySlot[e.rec.Register.Slot%partition.Slots] = e.slotNext
	}
	if e.slotNext != nil {
		e.slotNext.slotPrev = e.slotPrev
	}
	e.slotPrev, e.slotNext = nil, nil
}
