package storaged

import (
	"fmt"

	"synod/protocol/budget"
	"synod/protocol/rpc"
	"synod/storaged/tables"
)

const (
	// baseMemory is the memory in bytes that a node takes besides its cache and the
	// frames of peers: buffers of the changelog and of sessions, and the program.
	baseMemory = 320 << 20
	// leastFrames is the least memory for frames of peers, in bytes.
	leastFrames = 32 << 20
	// wholeFrame is the size from which a message is not a chunk of a state but a
	// change that goes to the disk as one. wholeWeight is how many times its size such
	// a message takes on its way: in the frame, the changelog, the lane and the store.
	wholeFrame  = 4 << 20
	wholeWeight = 4
)

// Memory says how a node's memory is divided.
type Memory struct {
	Limit   int64         // of the node as a whole, in bytes
	Outside int64         // of it, outside Go's heap
	Frames  *budget.Share // what peers send
}

// DivideMemory divides a limit in bytes between the cache of hot registers and the
// rest.
func DivideMemory(limit, cache int64) (Memory, error) {
	least := LeastMemory(cache)
	if limit < least {
		return Memory{}, fmt.Errorf("a node with a cache of %d MiB needs %d MiB of memory, not %d", cache>>20, least>>20, limit>>20)
	}
	// As much again is reserved for garbage.
	frames := (limit - least + 2*leastFrames) / 2
	return Memory{Limit: limit, Outside: tables.OutsideHeap(cache), Frames: budget.New(frames).Share(frames)}, nil
}

// LeastMemory is the least limit for a node with such a cache.
func LeastMemory(cache int64) int64 {
	return cache + tables.OutsideHeap(cache) + baseMemory + 2*leastFrames
}

// DefaultMemory is the limit for a node with such a cache.
func DefaultMemory(cache int64) int64 {
	return LeastMemory(cache) + 4*cache
}

// weigh returns how much memory a frame takes on its way through the node.
func weigh(c rpc.Class, size int) int64 {
	if c == rpc.Bulk && size >= wholeFrame {
		return wholeWeight * int64(size)
	}
	return int64(size)
}
