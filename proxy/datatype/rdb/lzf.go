package rdb

import "errors"

// LZF's format: a byte below 32 says that so many bytes and one more follow as
// they are; otherwise its high 3 bits, with the next byte added if they are 7,
// are the length less 2 of a copy, and its low 5 bits and the last byte the
// distance back less 1.
const (
	lzfMaxLiteral  = 32
	lzfMaxDistance = 1 << 13
	lzfMaxCopy     = 264
	lzfTableBits   = 16
)

var errLZF = errors.New("broken LZF data")

// compressor is the state of one compression. It makes the choices of liblzf
// with Redis's settings and a clean table, so that the same value gives the
// same bytes.
type compressor struct {
	in    []byte
	out   []byte
	n     int // bytes of out in use, the length byte of the open run included
	run   int // bytes of the open run of literals
	table [1 << lzfTableBits]int32
}

// compress returns the LZF form of in, or nil if that is not at least 4 bytes
// shorter.
func compress(in []byte) []byte {
	const saving = 4
	if len(in) <= saving {
		return nil
	}
	c := &compressor{in: in, out: make([]byte, len(in)-saving), n: 1}
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
		// Of the places that the copy passed, only the last two are kept.
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

// swap returns the last place where 3 bytes like those at i were seen, 0 if
// there is none, and replaces it by i.
func (c *compressor) swap(i int) int {
	h := uint32(c.in[i])<<16 | uint32(c.in[i+1])<<8 | uint32(c.in[i+2])
	slot := &c.table[(h>>(24-lzfTableBits)-h*5)&(1<<lzfTableBits-1)]
	last := *slot
	*slot = int32(i)
	return int(last)
}

func (c *compressor) matches(ref, i int) bool {
	return ref > 0 && i-ref <= lzfMaxDistance && string(c.in[ref:ref+3]) == string(c.in[i:i+3])
}

// matchLength returns how far the bytes at ref and i are equal, as far as
// liblzf looks: not to the end when that is near.
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

// literal appends a byte as it is. It returns false if there is no room.
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

// endRun closes the open run, leaving no trace of an empty one.
func (c *compressor) endRun() {
	if c.run == 0 {
		c.n--
		return
	}
	c.out[c.n-c.run-1] = byte(c.run - 1)
	c.run = 0
}

// copyBack appends a copy and opens a new run. It returns false if there is no
// room.
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

// decompress returns what in was compressed from, which must be size bytes.
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
