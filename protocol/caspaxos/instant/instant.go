// Package instant has the readings of clocks that a step of the protocol is given:
// no state machine reads a clock itself.
package instant

// Mono is a reading of a node's monotonic clock, in nanoseconds since an
// arbitrary start within the process's life.
type Mono int64

// Now is the time that a step happens at: the wall clock in Unix milliseconds
// and the monotonic clock.
type Now struct {
	Wall int64
	Mono Mono
}
