// Package placement says which storage nodes hold which slots.
//
// A cluster's 16384 slots (Redis Cluster's hash slots) are cut into contiguous
// ranges, and each range is held by one group of nodes, under an epoch
// (docs/protocol.md §9). The Table is that assignment, Plan lays out the first one,
// Slot maps a key to its slot.
//
// The package is pure: no clock, no I/O, no randomness. A Table that Decode or
// Plan returned is valid, that is, every slot stands in exactly one range and
// every range is held by known nodes; it is shared freely and never modified.
package placement
