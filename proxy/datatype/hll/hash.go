package hll

import (
	"encoding/binary"
	"math/bits"
)

// hash is MurmurHash64A, as HyperLogLogs of Redis have it.
func hash(b []byte) uint64 {
	const (
		seed  = 0xadc83b19
		prime = 0xc6a4a7935bd1e995
		shift = 47
	)
	h := uint64(seed) ^ uint64(len(b))*prime
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * prime
		k = (k ^ k>>shift) * prime
		h = (h ^ k) * prime
	}
	if len(b) > 0 {
		var k uint64
		for i, c := range b {
			k |= uint64(c) << (8 * i)
		}
		h = (h ^ k) * prime
	}
	h = (h ^ h>>shift) * prime
	return h ^ h>>shift
}

// sighting is what an added element says of one register: that it is at least
// of this rank, which is one more than the number of zeros that the rest of
// the hash begins with.
type sighting struct {
	index int
	rank  byte
}

func sight(element []byte) sighting {
	h := hash(element)
	rest := h>>indexBits | 1<<(64-indexBits)
	return sighting{index: int(h % registers), rank: byte(bits.TrailingZeros64(rest) + 1)}
}
