package server

import (
	"fmt"

	"synod/protocol/budget"
)

const (
	// minMemory is the least memory that a proxy works with, in bytes.
	minMemory = 128 << 20
	// DefaultMemory is the default limit: enough for several requests and replies
	// of the largest size.
	DefaultMemory = 2 << 30
	// defaultClientMemory bounds the buffers of clients if there is no limit.
	defaultClientMemory = 4 << 30
)

// Memory is how a proxy's memory is divided. Requests and Replies overlap: either
// may use most of their sum. The rest is for small buffers, the program itself and
// garbage. The zero Memory is without limits.
type Memory struct {
	Limit    int64         // of the whole proxy, in bytes
	Requests *budget.Share // large arguments of commands
	Replies  *budget.Share // large states sent by nodes
}

// DivideMemory divides a limit in bytes.
func DivideMemory(limit int64) (Memory, error) {
	if limit < minMemory {
		return Memory{}, fmt.Errorf("a proxy needs %d MiB of memory, not %d", minMemory>>20, limit>>20)
	}
	both := budget.New(limit / 4 * 3)
	each := both.Limit() / 4 * 3
	return Memory{Limit: limit, Requests: both.Share(each), Replies: both.Share(each)}, nil
}

// Cache is how many bytes may be cached of registers between rounds; 0: the default.
func (m Memory) Cache() int { return int(m.Limit / 32) }

// clients is the default of maxmemory-clients.
func (m Memory) clients() int64 {
	if m.Limit == 0 {
		return defaultClientMemory
	}
	return m.Limit / 4
}
