package rpc

import "fmt"

// Class is a class of traffic. Payloads of one class keep their order; classes
// do not wait for one another.
type Class uint8

// The classes of traffic.
const (
	// Votes are the small messages that clients wait for.
	Votes Class = iota
	// Bulk are large values and states.
	Bulk
	// Control are lists, flushes and the administration of nodes.
	Control

	classes = 3
)

func (c Class) String() string {
	switch c {
	case Votes:
		return "votes"
	case Bulk:
		return "bulk"
	case Control:
		return "control"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// MaxPayload returns the size in bytes of the largest payload of the class.
func (c Class) MaxPayload() int {
	switch c {
	case Votes:
		return 4 << 20
	case Control:
		return 16 << 20
	}
	return 1 << 30
}

// MaxBacklog returns how many bytes of the class, including frame headers, may wait
// in a session to be sent.
func (c Class) MaxBacklog() int {
	if c == Bulk {
		return 1<<30 + 256<<20
	}
	return 64 << 20
}
