// Package placement says which storage nodes hold which slots.
//
// A cluster's 16384 slots (Redis Cluster's hash slots) are cut into contiguous
// ranges, and each range is held by one group of nodes, under an epoch
// (docs/protocol.md §9). The Table is that assignment, Plan lays out the first one,
// Slot maps a key to its slot.
//
// The package is pure: no clock, no I/O, no randomness. A Table from Decode or Plan
// is valid: every slot is in exactly one range and every range is held by known
// nodes. It may be shared freely and is never modified.
package placement
