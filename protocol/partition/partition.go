// Package partition says how Synod divides Redis's keys: into databases, which are
// name spaces, slots, which are placed on nodes, and lanes, which are goroutines.
package partition

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Hash is the hash of a register's key. It chooses the lane, and its upper 48 bits
// order registers within a slot. It is stored on disk, so it never changes.
func Hash(key string) uint64 { return xxhash.Sum64String(key) }

// Hash48 is the part of Hash that orders registers within a slot.
func Hash48(key string) uint64 { return Hash(key) >> 16 }

// Lane returns which of n lanes a register belongs to.
func Lane(key string, n uint32) uint32 { return uint32(uint64(uint32(Hash(key))) * uint64(n) >> 32) }

// SlotSpan is the slots First to Last.
type SlotSpan struct{ First, Last uint16 }

// DatabaseSet is a set of databases, one bit for each.
type DatabaseSet uint16

// AllDatabases has every database.
const AllDatabases DatabaseSet = 1<<Databases - 1

// Has reports whether a database is in the set.
func (s DatabaseSet) Has(db byte) bool { return db < Databases && s>>db&1 != 0 }

// Len returns how many databases the set has.
func (s DatabaseSet) Len() int { return bits.OnesCount16(uint16(s)) }

// Databases is the number of Redis's databases. Database n is the name space n, the
// first byte of a register's key.
const Databases = 16

// Slots is the number of slots that keys are spread over.
const Slots = 16384
