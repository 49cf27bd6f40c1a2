package operation

import "errors"

// The ways in which a command may end without a result (§4, §5).
var (
	// ErrNoQuorum: nothing was done, fewer than a quorum answered in time.
	ErrNoQuorum = errors.New("no quorum of the slot's nodes answered in time")
	// ErrContention: nothing was done, other proposers kept interfering.
	ErrContention = errors.New("contention beyond the time limit")
	// ErrUncertain: the write may or may not have taken effect.
	ErrUncertain = errors.New("the outcome of this write is unknown")
	// ErrOverloaded: nothing was done, too many commands wait.
	ErrOverloaded = errors.New("too many commands are waiting")
	// ErrNoRoom: nothing was done, the proxy has no memory at present for the state
	// that the command reads.
	ErrNoRoom = errors.New("no memory for what the command reads")
	// ErrBusy: nothing was done, the slot's nodes had no memory for the command.
	ErrBusy = errors.New("the slot's nodes have no memory for the command at present")
	// ErrDiskFull: nothing was done, too many of the slot's nodes are short of disk
	// space.
	ErrDiskFull = errors.New("the disks of the slot's nodes are nearly full")
)

// Outage is the error of a command on a slot when it was known, on arrival or while
// the command waited, that no quorum of the slot's nodes could be reached: nothing
// was done, and nothing was waited for. It is an ErrNoQuorum.
type Outage struct{ Reason string }

func (o *Outage) Error() string { return o.Reason }

// Unwrap makes errors.Is find ErrNoQuorum.
func (*Outage) Unwrap() error { return ErrNoQuorum }
