package hll

import (
	"encoding/binary"
	"math/bits"
)

// hash is MurmurHash64A, as used for HyperLogLogs in Redis.
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

// sighting says that an added element needs a register to have at least this
// rank, which is one more than the number of leading zeros in the rest of the
// hash.
type sighting struct {
	index int
	rank  byte
}

func sight(element []byte) sighting {
	h := hash(element)
	rest := h>>indexBits | 1<<(64-indexBits)
	return sighting{index: int(h % registers), rank: byte(bits.TrailingZeros64(rest) + 1)}
}
