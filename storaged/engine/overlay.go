package engine

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
)

// overlay is what the lanes know and Pebble may not have yet of a page's
// registers.
type overlay struct {
	registers []unwritten // in the order of their rows
	last      uint16      // the last slot of which all are there
	shown     uint64      // the position of the latest change
}

// unwritten is such a register, tombstones included.
type unwritten struct {
	row    []byte // what its rows begin with
	listed caspaxos.Listed
}

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

// records goes over the record rows of some slots in one name space.
type records struct {
	it    *pebble.Iterator
	last  uint16
	space byte

	key   []byte          // what the rows of the present register begin with
	at    caspaxos.Listed // the present register
	begun bool
	skip  bool // rows of elements may follow
	bytes int  // of the records read
}

func (e *Engine) openRecords(first, last uint16, space byte, from uint64) (*records, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: appendPlace(nil, first, space, from),
		UpperBound: appendAfter(nil, []byte{prefixRegister, byte(last >> 8), byte(last)}),
	})
	if err != nil {
		return nil, err
	}
	return &records{it: it, last: last, space: space}, nil
}

func (r *records) close() error { return r.it.Close() }

// next moves to the next register. It returns false if there is none.
func (r *records) next() (bool, error) {
	ok := false
	switch {
	case !r.begun:
		r.begun = true
		ok = r.it.First()
	case r.skip:
		ok = r.it.SeekGE(append(bytes.Clone(r.key), rowEnd))
	default:
		ok = r.it.Next()
	}
	for ok {
		key := r.it.Key()
		if len(key) < 4 {
			return false, errRow
		}
		slot := binary.BigEndian.Uint16(key[1:])
		switch space := key[3]; {
		case space > r.space && slot == r.last:
			return false, nil
		case space > r.space:
			ok = r.it.SeekGE(appendPlace(nil, slot+1, r.space, 0))
			continue
		case space < r.space:
			ok = r.it.SeekGE(appendPlace(nil, slot, r.space, 0))
			continue
		}
		found, err := r.read(key)
		if found || err != nil {
			return found, err
		}
		ok = r.it.SeekGE(append(bytes.Clone(r.key), rowEnd))
	}
	return false, r.it.Error()
}

// read takes in the present row. It returns false if that is not a record:
// elements of one that a sweep is deleting.
func (r *records) read(key []byte) (bool, error) {
	reg, hash, rest, err := parseRegister(key)
	if err != nil {
		return false, err
	}
	r.key = append(r.key[:0], key[:len(key)-len(rest)]...)
	if len(rest) != 1 || rest[0] != rowRecord {
		return false, nil
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := parseTop(value)
	if err != nil {
		return false, err
	}
	r.bytes += len(key) + len(value)
	r.skip = top.rows
	r.at = caspaxos.Listed{Register: reg, Hash: hash, Accepted: top.accepted, Type: uint8(top.kind), Expiry: top.expiry}
	return true, nil
}
