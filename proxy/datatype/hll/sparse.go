package hll

import "slices"

// The sparse encoding is a list of runs of equal registers:
//
//	00nnnnnn           n+1 registers that are 0
//	01nnnnnn nnnnnnnn  n+1 registers that are 0
//	1vvvvvnn           n+1 registers that are v+1
const (
	maxShortZeros  = 64
	maxSparseRank  = 32
	maxSparseEqual = 4
)

// run is one run of the sparse encoding.
type run struct {
	rank  byte // 0 for a run of zeros
	count int  // registers
	size  int  // bytes
}

// parseRun reads the run at the start of b, which is not empty. ok is false if
// the run is cut off.
func parseRun(b []byte) (r run, ok bool) {
	switch c := b[0]; {
	case c&0x80 != 0:
		return run{rank: c>>2&31 + 1, count: int(c&3) + 1, size: 1}, true
	case c&0x40 == 0:
		return run{count: int(c&63) + 1, size: 1}, true
	case len(b) < 2:
		return run{}, false
	default:
		return run{count: int(c&63)<<8 + int(b[1]) + 1, size: 2}, true
	}
}

// runs calls visit for each run of a sparse value, with the index of its first
// register. It returns false if the runs do not cover exactly all registers.
func runs(regs []byte, visit func(first int, r run)) bool {
	first := 0
	for len(regs) > 0 {
		r, ok := parseRun(regs)
		if !ok || first+r.count > registers {
			return false
		}
		visit(first, r)
		first, regs = first+r.count, regs[r.size:]
	}
	return first == registers
}

func appendZeros(b []byte, count int) []byte {
	switch n := count - 1; {
	case count == 0:
		return b
	case count <= maxShortZeros:
		return append(b, byte(n))
	default:
		return append(b, 0x40|byte(n>>8), byte(n))
	}
}

func appendEqual(b []byte, rank byte, count int) []byte {
	if count == 0 {
		return b
	}
	return append(b, 0x80|(rank-1)<<2|byte(count-1))
}

// outcome is the result of a sighting.
type outcome uint8

const (
	unchanged outcome = iota
	changed
	tooMuch // does not fit the sparse encoding
	corrupted
)

// addSparse records a sighting in a sparse value. It changes the value in place
// and returns it.
func addSparse(value []byte, s sighting) ([]byte, outcome) {
	if s.rank > maxSparseRank {
		return value, tooMuch
	}
	// Find the run that contains the register, and the previous run.
	at, before, first := headerBytes, headerBytes, 0
	var r run
	for {
		if at >= len(value) {
			return value, corrupted
		}
		var ok bool
		if r, ok = parseRun(value[at:]); !ok {
			return value, corrupted
		}
		if s.index < first+r.count {
			break
		}
		before, at, first = at, at+r.size, first+r.count
	}
	if r.rank >= s.rank {
		return value, unchanged
	}
	// Split it into the part before the register, the register and the rest.
	left, right := s.index-first, first+r.count-1-s.index
	split := make([]byte, 0, 5)
	if r.rank == 0 {
		split = appendZeros(split, left)
		split = appendEqual(split, s.rank, 1)
		split = appendZeros(split, right)
	} else {
		split = appendEqual(split, r.rank, left)
		split = appendEqual(split, s.rank, 1)
		split = appendEqual(split, r.rank, right)
	}
	if more := len(split) - r.size; more > 0 && len(value)+more > maxSparse {
		return value, tooMuch
	}
	value = slices.Replace(value, at, at+r.size, split...)
	return mergeRuns(value, before), changed
}

// mergeRuns joins equal runs among the next few, as many as Redis checks after
// a change.
func mergeRuns(value []byte, at int) []byte {
	for steps := 5; steps > 0 && at < len(value); steps-- {
		r, ok := parseRun(value[at:])
		if !ok {
			return value
		}
		if r.rank > 0 && at+1 < len(value) {
			next, ok := parseRun(value[at+1:])
			if ok && next.rank == r.rank && r.count+next.count <= maxSparseEqual {
				value[at] = appendEqual(nil, r.rank, r.count+next.count)[0]
				value = slices.Delete(value, at+1, at+2)
				continue
			}
		}
		at += r.size
	}
	return value
}

// promote converts a sparse value to dense; ok is false if it is damaged.
func promote(value []byte) (out []byte, ok bool) {
	out = make([]byte, denseBytes)
	copy(out, value[:headerBytes])
	out[encodingAt] = dense
	regs := out[headerBytes:]
	ok = runs(value[headerBytes:], func(first int, r run) {
		for i := range r.count {
			if r.rank > 0 {
				setRegister(regs, first+i, r.rank)
			}
		}
	})
	return out, ok
}
