// Package harness is what tests of whole programs share: it builds Synod's
// programs, starts them beside real etcd and Redis servers on free loopback
// ports, kills, freezes and restarts them, and speaks RESP byte for byte.
//
// Guarantees: every process that it starts ends with its test, however the test
// ends; every wait has a deadline; no sleep relies on timing.
package harness

import (
	"testing"
	"time"
)

// Patience is how long a test waits for something that should happen soon. It
// is long because a slow machine is not a failure.
const Patience = 30 * time.Second

// pollEvery is how often a condition is looked at.
const pollEvery = 5 * time.Millisecond

// Await waits until the condition is true, or fails the test after Patience.
// what completes the sentence "timed out waiting for …".
func Await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !Poll(Patience, condition) {
		t.Fatalf("timed out waiting for %s", what)
	}
}

// Poll reports whether the condition became true within the limit.
func Poll(limit time.Duration, condition func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		if condition() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
