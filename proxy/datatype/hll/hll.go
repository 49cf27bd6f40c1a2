// Package hll has the commands on HyperLogLogs. They estimate how many
// different elements were added, using one register for each of 2^14 parts of a
// hash.
//
// A HyperLogLog is a string with exactly Redis's layout, so that GET, SET, DUMP
// and RESTORE can move it between servers. A header of 16 bytes has "HYLL", the
// encoding, three unused bytes and a cached estimate (8 bytes, little-endian;
// the highest bit means out of date). The registers follow, either dense (6
// bits each) or sparse (runs). PFADD chooses between the two as Redis does.
//
// Unlike in Redis, PFCOUNT is a plain read: it does not update the cached
// estimate. So after the same PFADDs a value has the same bytes as in Redis,
// except for the cached estimate if Redis ran PFCOUNT in between.
package hll

import (
	"bytes"
	"encoding/binary"

	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/str"
)

const (
	indexBits = 14
	registers = 1 << indexBits
	// maxRank is the highest value of a register: all other bits of the hash
	// are zero.
	maxRank = 64 - indexBits + 1

	headerBytes = 16
	denseBytes  = headerBytes + registers*6/8
	// maxSparse is the size above which Redis converts to dense
	// (hll-sparse-max-bytes, including the header).
	maxSparse = 3000
	// A sparse value cannot be longer than this: its runs are not empty and
	// take at most two bytes each.
	sparseLimit = headerBytes + 2*registers
)

// The encodings, in the byte after the magic.
const (
	dense  = 0
	sparse = 1

	encodingAt = 4
	cacheAt    = 8
	stale      = 1 << 7 // in the last byte of the header: the cache is out of date
)

var magic = []byte("HYLL")

var (
	errInvalid   = resp.Err("WRONGTYPE Key is not a valid HyperLogLog string value.")
	errCorrupted = resp.Err("INVALIDOBJ Corrupted HLL object detected")
)

// check returns the error for a value whose type, size or header is not that of
// a HyperLogLog. The view must cover the header.
func check(v register.View) *resp.Value {
	h := v.Header
	if err := str.Check(h); err != nil {
		return err
	}
	if h.Size < headerBytes {
		return errInvalid
	}
	head := str.Bytes(v, 0, headerBytes)
	switch {
	case !bytes.HasPrefix(head, magic) || head[encodingAt] > sparse || head[encodingAt] == dense && h.Size != denseBytes:
		return errInvalid
	case head[encodingAt] == sparse && h.Size > sparseLimit:
		return errCorrupted
	}
	return nil
}

// encodingOf returns the encoding of a value that passed check.
func encodingOf(value []byte) byte { return value[encodingAt] }

// cached returns the estimate in the header, if it is up to date.
func cached(value []byte) (uint64, bool) {
	n := binary.LittleEndian.Uint64(value[cacheAt:])
	return n, n>>63 == 0
}

// create returns an empty HyperLogLog.
func create() []byte {
	value := make([]byte, headerBytes, headerBytes+2)
	copy(value, magic)
	value[encodingAt] = sparse
	return appendZeros(value, registers)
}

// getRegister returns a register of a dense value.
func getRegister(regs []byte, index int) byte {
	at, shift := index*6/8, index*6%8
	b := uint(regs[at]) >> shift
	if shift > 2 {
		b |= uint(regs[at+1]) << (8 - shift)
	}
	return byte(b & 63)
}

// setRegister sets a register of a dense value.
func setRegister(regs []byte, index int, rank byte) {
	at, shift := index*6/8, index*6%8
	regs[at] = regs[at]&^byte(63<<shift) | rank<<shift
	if shift > 2 {
		regs[at+1] = regs[at+1]&^byte(63>>(8-shift)) | rank>>(8-shift)
	}
}
