package progress_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/progress"
)

func TestMemberThatStaysBehindGetsASnapshot(t *testing.T) {
	const lag, transfer = 100 * time.Millisecond, time.Second
	var tracker progress.Tracker
	key := progress.Key{Register: "k", Node: 1}
	for _, c := range []struct {
		after time.Duration
		want  progress.State
	}{
		{0, progress.Probe}, {lag / 2, progress.Probe}, {lag, progress.Replicate}, {lag + lag/2, progress.Probe},
		{lag + transfer, progress.Snapshot},
	} {
		if got := tracker.Behind(key, instant.Mono(c.after), lag, transfer); got != c.want {
			t.Errorf("after %s: %d, want %d", c.after, got, c.want)
		}
	}
	tracker.CaughtUp(key)
	if tracker.Any() {
		t.Error("a member that has caught up is still tracked")
	}
}
