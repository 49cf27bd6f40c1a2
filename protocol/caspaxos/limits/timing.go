package limits

import "time"

// Timing are the proposer's shorter waits. None matters for safety.
type Timing struct {
	Hedge   time.Duration // before a read asks the rest of the members
	Retry   time.Duration // before a silent read or Prepare is started over
	Accept  time.Duration // before a silent Accept is in doubt
	Backoff time.Duration // the first pause after an interference; it doubles
	Lag     time.Duration // how long a member that is not needed may lack a large state before that is sent
	Shared  time.Duration // how long a piggybacked promise is used where others write too
}

// DefaultTiming suits nodes in one data centre.
func DefaultTiming() Timing {
	return Timing{Hedge: 10 * time.Millisecond, Retry: 500 * time.Millisecond,
		Accept: 1200 * time.Millisecond, Backoff: 2 * time.Millisecond, Shared: 15 * time.Millisecond, Lag: 100 * time.Millisecond}
}
