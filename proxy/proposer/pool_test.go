package proposer

import (
	"strconv"
	"testing"

	caspaxos "synod/protocol/caspaxos/proposer"
	"synod/protocol/register"
)

// TestEveryCommandGoesToOneLane is about machines of very many processors.
func TestEveryCommandGoesToOneLane(t *testing.T) {
	for _, lanes := range []int{1, 2, 255, 256, 257, 1000} {
		p := New(Config{Lanes: lanes})
		const n = 3000
		var cmds []*caspaxos.Command
		for i := range n {
			cmds = append(cmds, &caspaxos.Command{Register: register.ID{Key: strconv.Itoa(i)}})
		}
		p.Submit(cmds)
		got := 0
		for _, l := range p.Lanes() {
			got += len(l.inbox.cmds)
		}
		if got != n {
			t.Errorf("%d lanes got %d commands, want %d", lanes, got, n)
		}
	}
}
