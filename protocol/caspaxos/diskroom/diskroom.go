// Package diskroom has the degrees in which a node's disk is full, and what the node still
// votes for (§2 room rule).
package diskroom

// Room is how much room the disk of a node has.
type Room uint8

// The degrees, each with what a node still votes for.
const (
	RoomEnough Room = iota // everything
	RoomLow                // changes that make less of a state, and what a quorum needs
	RoomScarce             // changes that bring nothing: deletes, removals, empty ones
	RoomNone               // nothing: not even a few bytes can be written
)
