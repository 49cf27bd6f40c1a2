// Package str has the commands on strings, including bit operations, as pure
// functions from a register's state to a change and a reply.
//
// A string of n bytes has a Header with Size n and chunks of ChunkSize bytes.
// Each chunk is an element whose key is the chunk's index (4 bytes,
// big-endian). Missing chunks, and missing bytes of short chunks, count as zero
// bytes. No chunk extends past the string's end. So a command on part of a
// large string reads and changes only the chunks that it touches, and holes
// cost nothing.
package str

import (
	"encoding/binary"
	"sync/atomic"

	"synod/protocol/register"
	"synod/protocol/resp"
)

// ChunkSize is the number of bytes of a chunk. It is part of the stored format.
const ChunkSize = 8192

// DefaultMaxSize is Redis's limit on the length of a string in bytes.
const DefaultMaxSize = 512 << 20

var maxSize atomic.Int64

func init() { maxSize.Store(DefaultMaxSize) }

// SetMaxSize sets the limit on the length of strings in bytes (Redis's
// proto-max-bulk-len) for commands that are parsed or executed afterwards.
func SetMaxSize(bytes int64) { maxSize.Store(bytes) }

// Values of Header.Encoding for strings: how Redis would store the string, for
// OBJECT ENCODING.
const (
	encodingAuto uint8 = iota // depends on content: int, embstr or raw
	encodingRaw               // changed in place
	encodingText              // depends on length: embstr or raw, even if it is a number
)

var firstChunk = []byte{0, 0, 0, 0}

func chunkKey(index uint64) []byte {
	if index == 0 {
		return firstChunk
	}
	return binary.BigEndian.AppendUint32(make([]byte, 0, 4), uint32(index))
}

// span returns the projection of the bytes from (inclusive) to to (exclusive).
func span(from, to uint64) register.Projection {
	if from >= to {
		return register.Projection{}
	}
	first, last := from/ChunkSize, (to-1)/ChunkSize
	if first == last {
		return register.Projection{Keys: [][]byte{chunkKey(first)}}
	}
	return register.Projection{Ranges: []register.Range{{From: chunkKey(first), To: chunkKey(last + 1)}}}
}

// segments calls visit for the bytes from to to, chunk by chunk, until it
// returns false. n is the number of bytes starting at at. If data is shorter,
// the rest is zero bytes. The view must cover the bytes.
func segments(v register.View, from, to uint64, visit func(at uint64, data []byte, n int) bool) {
	var key [4]byte
	for at := from; at < to; {
		index := at / ChunkSize
		end := min((index+1)*ChunkSize, to)
		binary.BigEndian.PutUint32(key[:], uint32(index))
		chunk, _ := v.Get(key[:])
		lo, hi := int(at-index*ChunkSize), int(end-index*ChunkSize)
		hi = min(hi, len(chunk))
		if !visit(at, chunk[min(lo, hi):hi], int(end-at)) {
			return
		}
		at = end
	}
}

// read returns the bytes from to to of the string, which the view must cover.
// They may be shared with the view.
func read(v register.View, from, to uint64) []byte {
	if from >= to {
		return []byte{}
	}
	if from/ChunkSize == (to-1)/ChunkSize {
		base := from / ChunkSize * ChunkSize
		chunk, _ := v.Get(chunkKey(from / ChunkSize))
		if uint64(len(chunk)) >= to-base {
			return chunk[from-base : to-base : to-base]
		}
	}
	out := make([]byte, to-from)
	segments(v, from, to, func(at uint64, data []byte, _ int) bool {
		copy(out[at-from:], data)
		return true
	})
	return out
}

// content returns the whole string, which the view must cover.
func content(v register.View) []byte { return read(v, 0, v.Header.Size) }

// inParts is the string size from which a reply refers to the state's chunks
// instead of copying them.
const inParts = 256 << 10

// reply returns the whole string, which the view must cover, as a reply.
func reply(v register.View) *resp.Value {
	if v.Header.Size < inParts {
		return resp.Bytes(content(v))
	}
	parts := make([]resp.Value, 0, v.Header.Size/ChunkSize+1)
	segments(v, 0, v.Header.Size, func(_ uint64, data []byte, n int) bool {
		if len(data) > 0 {
			parts = append(parts, resp.Value{Kind: resp.Bulk, Str: data})
		}
		if n > len(data) {
			parts = append(parts, resp.Value{Kind: resp.Bulk, Str: zeros[:n-len(data)]})
		}
		return true
	})
	return resp.Parts(int(v.Header.Size), parts)
}

var zeros [ChunkSize]byte

// whole returns the ops that create the chunks of a new string.
func whole(value []byte) []register.Op { return overwrite(nil, 0, 0, value) }

// overwrite appends the ops that write value at an offset of a string of size
// bytes.
func overwrite(ops []register.Op, size, offset uint64, value []byte) []register.Op {
	if ops == nil {
		ops = make([]register.Op, 0, uint64(len(value))/ChunkSize+2)
	}
	for len(value) > 0 {
		index, at := offset/ChunkSize, offset%ChunkSize
		n := min(uint64(len(value)), ChunkSize-at)
		op := register.Op{Kind: register.Patch, Key: chunkKey(index), Offset: uint32(at), Value: value[:n:n]}
		if at == 0 && (n == ChunkSize || offset+n >= size) {
			// The old chunk is overwritten completely.
			op.Kind = register.Put
		}
		ops = append(ops, op)
		offset, value = offset+n, value[n:]
	}
	return ops
}

// check returns the error if the state is not a string.
func check(h register.Header) *resp.Value {
	if h.Type != register.String && h.Type != register.Absent {
		return resp.ErrWrongType
	}
	return nil
}
