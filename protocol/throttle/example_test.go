package throttle_test

import (
	"fmt"
	"time"

	"synod/protocol/throttle"
)

// Of many lines about one address, one in ten seconds is written. It says how
// many were not.
func Example() {
	var lines throttle.Lines
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 4 {
		if suppressed, write := lines.Next("10.0.0.7", at); write {
			fmt.Printf("%s refused, %d suppressed\n", at.Format("15:04:05"), suppressed)
		}
		at = at.Add(4 * time.Second)
	}
	// Output:
	// 00:00:00 refused, 0 suppressed
	// 00:00:12 refused, 2 suppressed
}
