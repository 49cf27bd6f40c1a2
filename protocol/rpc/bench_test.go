package rpc

import (
	"fmt"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

// BenchmarkRoundTrips measures messages of 100 bytes to a server on loopback
// and back: outstanding frames at a time, each of so many messages. The figures
// are per message, both ends together.
func BenchmarkRoundTrips(b *testing.B) {
	for _, outstanding := range []int{1, 64} {
		for _, batch := range []int{1, 32} {
			b.Run(fmt.Sprintf("outstanding=%d/batch=%d", outstanding, batch), func(b *testing.B) {
				benchRoundTrips(b, outstanding, batch)
			})
		}
	}
}

func benchRoundTrips(b *testing.B, outstanding, batch int) {
	addr, _ := serveTCP(b, echoOptions())
	k := newSink(outstanding)
	s := dial(b, addr, k.options(Proxy, "bench"))
	payload := make([]byte, 100*batch)
	b.ReportAllocs()
	before := cpu()
	b.ResetTimer()
	sent, frames := 0, (b.N+batch-1)/batch
	for received := 0; received < frames; received++ {
		for ; sent < frames && sent-received < outstanding; sent++ {
			if err := s.Send(Votes, payload); err != nil {
				b.Fatal(err)
			}
		}
		<-k.got[Votes]
	}
	b.StopTimer()
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkBulk measures payloads of 16 MiB in one direction.
func BenchmarkBulk(b *testing.B) {
	const size = 16 << 20
	arrived := make(chan struct{}, 1)
	o := echoOptions()
	o.Handle = func(*Session, Class, []byte) { arrived <- struct{}{} }
	addr, _ := serveTCP(b, o)
	s := dial(b, addr, newSink(0).options(Proxy, "bench"))
	payload := make([]byte, size)
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	b.SetBytes(size)
	for b.Loop() {
		if err := s.SendShared(Bulk, payload); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
}

// cpu returns the process's processor time.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
