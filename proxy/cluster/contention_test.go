package cluster

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/proxy/nodetest"
)

// TestContentionOnOneKey has several proxies write one key as fast as they can,
// all nodes being well. None may starve, and few attempts end as uncertain: the
// nodes' lists are short, and on a busy machine they may run full before a
// proxy gets its turn.
func TestContentionOnOneKey(t *testing.T) {
	for _, words := range [][]string{{"incr", "n"}, {"set", "s", "v"}, {"append", "a", "x"}} {
		t.Run(words[0], func(t *testing.T) {
			_, snap := nodetest.Start(t, "n1", "n2", "n3")
			var proxies []*Cluster
			for i := range 4 {
				proxies = append(proxies, openOn(t, snap, ballot.ProposerID(i+1), limits.Default()))
			}
			var ok, uncertain, other, slowest atomic.Int64
			var clients sync.WaitGroup
			end := time.Now().Add(time.Second)
			for i := range 8 {
				clients.Go(func() {
					p := proxies[i%len(proxies)]
					for time.Now().Before(end) {
						cmd := p.command(t, words...)
						done := make(chan struct{})
						cmd.Done = func(*proposer.Command) { close(done) }
						p.Submit([]*proposer.Command{cmd})
						<-done
						took := int64(p.Now() - cmd.Started)
						for s := slowest.Load(); took > s && !slowest.CompareAndSwap(s, took); s = slowest.Load() {
						}
						switch {
						case cmd.Err == nil:
							ok.Add(1)
						case errors.Is(cmd.Err, operation.ErrUncertain):
							uncertain.Add(1)
						default:
							other.Add(1)
						}
					}
				})
			}
			clients.Wait()
			t.Logf("%d done, %d uncertain, the slowest in %v", ok.Load(), uncertain.Load(), time.Duration(slowest.Load()))
			if other.Load() > 0 || uncertain.Load() > ok.Load()/20 {
				t.Errorf("%d done, %d uncertain, %d failed", ok.Load(), uncertain.Load(), other.Load())
			}
		})
	}
}
