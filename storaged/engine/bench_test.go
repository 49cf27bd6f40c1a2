package engine

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSet is the path of a SET on one node: vote, changelog, sync, and
// what follows in Pebble. One operation is one vote; 64 share a sync. With a
// million keys nearly every vote is the first on its register.
func BenchmarkSet(b *testing.B) {
	for _, keys := range []int{1, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			o := testOptions(b)
			o.FS, o.CacheBytes = nil, 256<<20
			o.SegmentBytes, o.RetainBytes = 0, 0
			r := newRig(b, o)
			names := make([]register.ID, keys)
			for i := range names {
				names[i] = key(0, fmt.Sprintf("key:%012d", i))
			}
			value := strings.Repeat("v", 64)
			var reply message.Reply
			reqs := make([]message.Request, 64)
			b.ReportAllocs()
			start, began := cpuTime(), time.Now()
			for i := 0; b.Loop(); i++ {
				q := &reqs[i%64]
				*q = message.Request{Kind: message.KindAccept, Register: names[(i*7919)%keys], Epoch: testEpoch, Ballot: r.ballot(), Change: set(value)}
				if _, err := r.accs[r.lane(q.Register)].Step(r.clock, q, &reply); err != nil || reply.Outcome != message.Acked {
					b.Fatal(reply.Outcome, err)
				}
				if i%64 == 63 {
					r.clock.Mono = instant.Mono(time.Since(began))
					r.e.Kick()
					r.maintain()
					if i%512 == 511 {
						r.e.WaitSynced(reply.After)
					}
				}
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkLoad looks for registers that are not in memory, among a million on
// disk: such as are there and such as are not.
func BenchmarkLoad(b *testing.B) {
	const n = 1_000_000
	r := newRig(b, benchOptions(b))
	name := func(kind string, i int) register.ID { return key(0, fmt.Sprintf("%s:%012d", kind, i)) }
	value := set(strings.Repeat("v", 64))
	for i := range n {
		r.accept(name("there", i), value)
		if i%5000 == 4999 {
			r.sync()
			r.maintain()
		}
	}
	r.settle()
	for _, l := range r.e.Lanes() {
		for _, e := range l.cache {
			l.drop(e)
		}
	}
	for _, kind := range []string{"there", "missing"} {
		b.Run(kind, func(b *testing.B) {
			defer reportCPU(b, 1)()
			for i := 0; b.Loop(); i++ {
				id := name(kind, i*7919%n)
				l := r.e.Lanes()[r.lane(id)]
				rec, err := l.Load(id)
				if err != nil || (rec != nil) != (kind == "there") {
					b.Fatal(rec, err)
				}
				l.drop(l.last)
				if i%8 == 0 {
					r.maintain()
				}
			}
		})
	}
}
