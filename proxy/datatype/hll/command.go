package hll

import (
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/str"
)

// add is PFADD.
type add struct {
	datatype.Writes
	sightings []sighting
	// end is the end of the last register that a dense value would change.
	end uint64
}

// Add parses PFADD key [element ...].
func Add(args [][]byte) (operation.Operation, *resp.Value) {
	o := &add{sightings: make([]sighting, len(args)-2), end: headerBytes}
	for i, element := range args[2:] {
		s := sight(element)
		o.sightings[i] = s
		o.end = max(o.end, uint64(headerBytes+(s.index*6+5)/8+1))
	}
	return o, nil
}

// Needs asks for the header, and for the second chunk only if a dense value
// would have one of the registers there.
func (o *add) Needs() register.Projection { return str.Span(0, o.end) }

func (o *add) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		value, _ := o.into(create())
		touch(value)
		h := register.Header{Type: register.String}
		return datatype.Becomes(str.InPlace(h, uint64(len(value))), str.Overwrite(0, 0, value), resp.Int(1))
	}
	if err := check(v); err != nil {
		return datatype.Reply(err)
	}
	if encodingOf(str.Bytes(v, 0, headerBytes)) == dense {
		return o.dense(v)
	}
	whole := str.Span(0, v.Header.Size)
	if !v.Covers(whole) {
		return datatype.Need(whole)
	}
	old := str.Content(v)
	value, outcome := o.into(slices.Clone(old))
	switch outcome {
	case corrupted:
		return datatype.Reply(errCorrupted)
	case unchanged:
		return o.nothing(v)
	}
	touch(value)
	h := str.InPlace(v.Header, uint64(len(value)))
	if len(value) < len(old) || encodingOf(value) == dense {
		return datatype.Becomes(h, str.Overwrite(0, 0, value), resp.Int(1))
	}
	ops := differences(old, value, 0, headerBytes)
	ops = append(ops, differences(old, value, headerBytes, len(value))...)
	return datatype.Changes(v.Header, h, ops, resp.Int(1))
}

// nothing is the effect if no register changed. Redis still treats the value as
// changed in place.
func (o *add) nothing(v register.View) operation.Effect {
	h := str.InPlace(v.Header, v.Header.Size)
	if h.Encoding == v.Header.Encoding {
		return datatype.Reply(resp.Int(0))
	}
	return datatype.Changes(v.Header, h, nil, resp.Int(0))
}

// touch marks a value's cached estimate as out of date.
func touch(value []byte) { value[headerBytes-1] |= stale }

// into adds to a whole value, which it may change in place.
func (o *add) into(value []byte) ([]byte, outcome) {
	all := unchanged
	for _, s := range o.sightings {
		if encodingOf(value) == sparse {
			var one outcome
			if value, one = addSparse(value, s); one == corrupted {
				return nil, corrupted
			}
			if one != tooMuch {
				all = max(all, one)
				continue
			}
			var ok bool
			if value, ok = promote(value); !ok {
				return nil, corrupted
			}
		}
		if regs := value[headerBytes:]; getRegister(regs, s.index) < s.rank {
			setRegister(regs, s.index, s.rank)
			all = changed
		}
	}
	return value, all
}

// dense adds to a dense value. The view needs only the chunks with the affected
// registers.
func (o *add) dense(v register.View) operation.Effect {
	old := str.Bytes(v, 0, o.end)
	value, outcome := o.into(slices.Clone(old))
	if outcome == unchanged {
		return o.nothing(v)
	}
	touch(value)
	var ops []register.Op
	for from := 0; from < len(value); {
		if value[from] == old[from] {
			from++
			continue
		}
		to := from + 1
		for to < len(value) && value[to] != old[to] {
			to++
		}
		ops = append(ops, str.Overwrite(v.Header.Size, uint64(from), value[from:to])...)
		from = to
	}
	return datatype.Changes(v.Header, str.InPlace(v.Header, v.Header.Size), ops, resp.Int(1))
}

// differences returns the ops that turn a part of the old value into the new
// one, which must not be shorter. It skips the common prefix and suffix.
func differences(old, value []byte, from, to int) []register.Op {
	for from < to && from < len(old) && value[from] == old[from] {
		from++
	}
	for to > from && to <= len(old) && len(old) == len(value) && value[to-1] == old[to-1] {
		to--
	}
	if from == to {
		return nil
	}
	return str.Overwrite(uint64(len(value)), uint64(from), value[from:to])
}

// read fetches a whole HyperLogLog.
type read struct {
	datatype.Reads
	// reply builds the reply from the value.
	reply func(value []byte) *resp.Value
}

// Needs asks for as much as a dense value needs.
func (read) Needs() register.Projection { return str.Span(0, denseBytes) }

func (o read) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		return datatype.Reply(resp.Nil)
	}
	if err := check(v); err != nil {
		return datatype.Reply(err)
	}
	if whole := str.Span(0, v.Header.Size); !v.Covers(whole) {
		return datatype.Need(whole)
	}
	return datatype.Reply(o.reply(str.Content(v)))
}

// Count parses PFCOUNT key [key ...].
func Count(args [][]byte) (*datatype.Split, *resp.Value) {
	s := &datatype.Split{Keys: args[1:], Ops: make([]operation.Operation, len(args)-1), Snapshot: true, Combine: union}
	op := read{reply: resp.Bytes}
	if len(s.Ops) == 1 {
		op.reply, s.Combine = estimate, orZero
	}
	for i := range s.Ops {
		s.Ops[i] = op
	}
	return s, nil
}

// estimate is the reply for a single value.
func estimate(value []byte) *resp.Value {
	if n, ok := cached(value); ok {
		return resp.Int(int64(n))
	}
	return union([]*resp.Value{resp.Bytes(value)})
}

func orZero(results []*resp.Value) *resp.Value {
	if results[0].Kind == resp.Null {
		return resp.Int(0)
	}
	return results[0]
}

// union estimates the number of elements in all values together.
func union(results []*resp.Value) *resp.Value {
	var m counters
	for _, r := range results {
		r = r.Whole()
		switch {
		case r.Kind == resp.Null:
		case r.Kind != resp.Bulk:
			return r
		case !m.merge(r.Str):
			return errCorrupted
		}
	}
	return resp.Int(int64(m.estimate()))
}

// Merged returns PFMERGE's result for a destination (nil if absent) and the
// sources. It is dense if one of them is. ok is false if a value is damaged.
func Merged(destination []byte, sources [][]byte) (merged []byte, ok bool) {
	merged = create()
	if destination != nil {
		merged = slices.Clone(destination)
	}
	var m counters
	anyDense := false
	for _, value := range append(sources[:len(sources):len(sources)], merged) {
		if !m.merge(value) {
			return nil, false
		}
		anyDense = anyDense || encodingOf(value) == dense
	}
	if anyDense && encodingOf(merged) == sparse {
		merged, _ = promote(merged)
	}
	var o add
	for i, rank := range m {
		if rank > 0 {
			o.sightings = append(o.sightings, sighting{index: i, rank: rank})
		}
	}
	merged, _ = o.into(merged)
	touch(merged)
	return merged, true
}
