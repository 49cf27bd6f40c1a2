package cluster

import (
	"fmt"
	"sync"
	"syscall"
	"testing"

	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/proposer"
	"synod/proxy/nodetest"
)

// BenchmarkRounds runs commands of 64 clients over real sockets on nodes that
// keep their data in memory, and reports the processor time of both sides.
func BenchmarkRounds(b *testing.B) {
	for _, words := range [][]string{{"set", "", "value"}, {"get", ""}, {"incr", ""}} {
		b.Run(words[0], func(b *testing.B) {
			_, snap := nodetest.Start(b, "n1", "n2", "n3")
			c := openOn(b, snap, 1, limits.Default())
			c.do(b, "get", "ready")
			before := processorTime()
			const clients = 64
			var wg sync.WaitGroup
			for client := range clients {
				wg.Go(func() {
					done := make(chan struct{}, 1)
					for i := client; i < b.N; i += clients {
						args := append([]string(nil), words...)
						args[1] = fmt.Sprintf("key:%d", i*7919%10000)
						cmd := c.command(b, args...)
						cmd.Done = func(*proposer.Command) { done <- struct{}{} }
						c.Submit([]*proposer.Command{cmd})
						<-done
						if cmd.Err != nil {
							b.Error(cmd.Err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(processorTime()-before)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}

// processorTime returns what the process has used so far, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
