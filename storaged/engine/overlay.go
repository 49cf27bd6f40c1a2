package engine

import (
	"bytes"
	"slices"

	"synod/protocol/caspaxos"
)

// unwritten asks the lanes, each for about limit registers and whole slots.
func (e *Engine) unwritten(q *caspaxos.ListRequest, limit int) (*overlay, error) {
	answers := make(chan *overlay, len(e.lanes))
	for _, l := range e.lanes {
		l.do(func() { answers <- l.overlay(q, limit) })
	}
	all := &overlay{last: q.Last}
	for range e.lanes {
		select {
		case o := <-answers:
			all.registers = append(all.registers, o.registers...)
			all.last, all.shown = min(all.last, o.last), max(all.shown, o.shown)
		case <-e.stop:
			return nil, ErrClosed
		}
	}
	all.registers = slices.DeleteFunc(all.registers, func(u unwritten) bool { return u.listed.Register.Slot > all.last })
	slices.SortFunc(all.registers, func(a, b unwritten) int { return bytes.Compare(a.row, b.row) })
	return all, nil
}

func (l *Lane) overlay(q *caspaxos.ListRequest, limit int) *overlay {
	o := &overlay{last: q.Last, shown: l.lastPos.Load()}
	if l.bySlot == nil {
		return o
	}
	for slot := q.First; ; slot++ {
		for e := l.bySlot[slot]; e != nil; e = e.slotNext {
			r := e.rec.Register
			hash := caspaxos.Hash48(r.Key)
			if l.omits(listUnwritten) || r.Key[0] != q.Space || slot == q.First && hash < q.From {
				continue
			}
			o.registers = append(o.registers, unwritten{row: appendRegister(nil, r), listed: caspaxos.Listed{
				Register: r, Hash: hash, Accepted: e.rec.Accepted, Type: uint8(e.rec.Header.Type), Expiry: e.rec.Header.Expiry,
			}})
		}
		if slot == q.Last || len(o.registers) >= limit {
			o.last = slot
			return o
		}
	}
}

// file enters a register that Pebble does not have as it is.
func (l *Lane) file(e *entry) {
	if l.bySlot == nil {
		l.bySlot = new([caspaxos.Slots]*entry)
	}
	head := &l.bySlot[e.rec.Register.Slot%caspaxos.Slots]
	if e.slotNext = *head; *head != nil {
		(*head).slotPrev = e
	}
	*head = e
}

// unfile takes a register out that Pebble has.
func (l *Lane) unfile(e *entry) {
	if e.slotPrev != nil {
		e.slotPrev.slotNext = e.slotNext
	} else {
		l.bySlot[e.rec.Register.Slot%caspaxos.Slots] = e.slotNext
	}
	if e.slotNext != nil {
		e.slotNext.slotPrev = e.slotPrev
	}
	e.slotPrev, e.slotNext = nil, nil
}
