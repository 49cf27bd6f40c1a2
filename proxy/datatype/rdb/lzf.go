package rdb

import (
	"errors"
	"math"
	"sync"
)

// LZF format: a first byte n < 32 means that n+1 literal bytes follow.
// Otherwise it is a copy: the high 3 bits (plus the next byte if they are 7)
// are the length less 2; the low 5 bits and the last byte are the distance less
// 1.
const (
	lzfMaxLiteral  = 32
	lzfMaxDistance = 1 << 13
	lzfMaxCopy     = 264
	lzfTableBits   = 16
)

var errLZF = errors.New("broken LZF data")

// compressor is the state of one compression. It makes the same choices as
// liblzf with Redis's settings and an empty table, so the same value always
// gives the same bytes.
type compressor struct {
	in    []byte
	out   []byte
	n     int // bytes of out in use, with the length byte of the open run
	run   int // bytes of the open run of literals
	base  int // offset of the places in the table; lower places are from earlier inputs
	table [1 << lzfTableBits]int32
}

// compressors are reused because their tables are large.
var compressors = sync.Pool{New: func() any { return new(compressor) }}

// open prepares the compressor for an input; old table entries no longer count.
func (c *compressor) open(in []byte, room int) {
	if c.base+len(in) > math.MaxInt32 {
		c.base, c.table = 0, [1 << lzfTableBits]int32{}
	}
	c.in, c.out, c.n, c.run = in, make([]byte, room), 1, 0
}

func (c *compressor) close() {
	c.base += len(c.in)
	c.in, c.out = nil, nil
	compressors.Put(c)
}

// compress returns the LZF form of in, or nil if it does not save at least 4
// bytes.
func compress(in []byte) []byte {
	const saving = 4
	if len(in) <= saving {
		return nil
	}
	c := compressors.Get().(*compressor)
	c.open(in, len(in)-saving)
	defer c.close()
	i := 0
	for i < len(in)-2 {
		ref := c.swap(i)
		if !c.matches(ref, i) {
			if !c.literal(in[i]) {
				return nil
			}
			i++
			continue
		}
		length := c.matchLength(ref, i)
		if !c.copyBack(i-ref-1, length) {
			return nil
		}
		i += length
		if i >= len(in)-2 {
			break
		}
		// Of the places inside the copy, only the last two are recorded.
		c.swap(i - 2)
		c.swap(i - 1)
	}
	if c.n+3 > len(c.out) {
		return nil
	}
	for ; i < len(in); i++ {
		c.literal(in[i])
	}
	c.endRun()
	return c.out[:c.n]
}

// swap returns the last place with the same 3 bytes as at i, or 0 if there is
// none, and replaces it with i.
func (c *compressor) swap(i int) int {
	h := uint32(c.in[i])<<16 | uint32(c.in[i+1])<<8 | uint32(c.in[i+2])
	slot := &c.table[(h>>(24-lzfTableBits)-h*5)&(1<<lzfTableBits-1)]
	last := int(*slot)
	*slot = int32(c.base + i)
	return max(last-c.base, 0)
}

func (c *compressor) matches(ref, i int) bool {
	return ref > 0 && i-ref <= lzfMaxDistance && string(c.in[ref:ref+3]) == string(c.in[i:i+3])
}

// matchLength returns how long the bytes at ref and i are equal. Like liblzf,
// it stops short of the end of the input.
func (c *compressor) matchLength(ref, i int) int {
	n, limit := 2, min(len(c.in)-i-2, lzfMaxCopy)
	if limit > 16 {
		for range 16 {
			if n++; c.in[ref+n] != c.in[i+n] {
				return n
			}
		}
	}
	for n++; n < limit && c.in[ref+n] == c.in[i+n]; n++ {
	}
	return n
}

// literal appends a literal byte. It returns false if out is full.
func (c *compressor) literal(b byte) bool {
	if c.n >= len(c.out) {
		return false
	}
	c.out[c.n] = b
	c.n++
	if c.run++; c.run == lzfMaxLiteral {
		c.endRun()
		c.n++
	}
	return true
}

// endRun closes the open run and removes it if it is empty.
func (c *compressor) endRun() {
	if c.run == 0 {
		c.n--
		return
	}
	c.out[c.n-c.run-1] = byte(c.run - 1)
	c.run = 0
}

// copyBack appends a copy and opens a new run. It returns false if out is full.
func (c *compressor) copyBack(distance, length int) bool {
	empty := 0
	if c.run == 0 {
		empty = 1
	}
	if c.n-empty+4 >= len(c.out) {
		return false
	}
	c.endRun()
	length -= 2
	high := byte(distance >> 8)
	if length < 7 {
		c.out[c.n] = high | byte(length)<<5
	} else {
		c.out[c.n] = high | 7<<5
		c.n++
		c.out[c.n] = byte(length - 7)
	}
	c.out[c.n+1] = byte(distance)
	c.n += 3
	return true
}

// decompress decompresses in to exactly size bytes.
func decompress(in []byte, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	for len(in) > 0 {
		control := int(in[0])
		in = in[1:]
		if control < lzfMaxLiteral {
			n := control + 1
			if n > len(in) || n > size-len(out) {
				return nil, errLZF
			}
			out, in = append(out, in[:n]...), in[n:]
			continue
		}
		n := control >> 5
		if n == 7 {
			if len(in) == 0 {
				return nil, errLZF
			}
			n, in = n+int(in[0]), in[1:]
		}
		if len(in) == 0 {
			return nil, errLZF
		}
		from := len(out) - (control&31<<8 | int(in[0])) - 1
		in = in[1:]
		if n += 2; from < 0 || n > size-len(out) {
			return nil, errLZF
		}
		for i := range n { // may overlap what it appends
			out = append(out, out[from+i])
		}
	}
	if len(out) != size {
		return nil, errLZF
	}
	return out, nil
}
