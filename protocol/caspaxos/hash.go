package caspaxos

import "github.com/cespare/xxhash/v2"

// Hash is the hash of a register's key by which lanes are chosen and, with its
// upper 48 bits, registers are ordered within a slot. It is stored on disk: it
// never changes.
func Hash(key string) uint64 { return xxhash.Sum64String(key) }

// Hash48 is the part of Hash that orders registers within a slot.
func Hash48(key string) uint64 { return Hash(key) >> 16 }

// Part returns which of n lanes a register belongs to.
func Part(key string, n uint32) uint32 { return uint32(uint64(uint32(Hash(key))) * uint64(n) >> 32) }
