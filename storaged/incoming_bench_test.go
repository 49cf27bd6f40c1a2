package storaged

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/debug"
	rtmetrics "runtime/metrics"
	"testing"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

// watch is what somebody else sees of a lane meanwhile.
type watch struct {
	longest time.Duration // that the lane let others wait
	memory  uint64        // bytes of objects, at most
	done    chan struct{}
	stop    chan struct{}
}

func objects() uint64 {
	s := []rtmetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	rtmetrics.Read(s)
	return s[0].Value.Uint64()
}

// watchLane asks a lane again and again to do nothing.
func watchLane(l *lane) *watch {
	w := &watch{done: make(chan struct{}), stop: make(chan struct{})}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			began, did := time.Now(), make(chan struct{})
			if l.push([]item{{do: func() { close(did) }}}, 0) {
				<-did
				w.longest = max(w.longest, time.Since(began))
			}
			w.memory = max(w.memory, objects())
		}
	}()
	return w
}

func (w *watch) end() {
	close(w.stop)
	<-w.done
}

// BenchmarkLargeAccept is an Accept with a state of a million elements, as one
// message and in chunks: how long it took until it was acknowledged, how long the
// lane let others wait, until all of it was in the store, and the memory that the
// node took beyond that of the messages.
func BenchmarkLargeAccept(b *testing.B) {
	const elements = 1_000_000
	change := register.Change{Kind: register.Full, Header: register.Header{Type: register.SortedSet, Size: elements}}
	value := bytes.Repeat([]byte("v"), 64)
	for i := range elements {
		k := binary.BigEndian.AppendUint64([]byte{'s'}, uint64(i))
		change.Ops = append(change.Ops, register.Op{Key: k, Value: value})
	}
	n := startNode(b)
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // else it is garbage that is counted
	for _, form := range []string{"ops", "chunks"} {
		b.Run(form, func(b *testing.B) {
			c := n.dial()
			var waited, acked time.Duration
			var memory uint64
			for i := range b.N {
				q := c.setRequest(fmt.Sprint(form, i), "")
				q.Epoch, q.Change = n.epoch, change
				payloads, answer := c.payloads(q, form == "chunks")
				l := n.d.lanes[partition.Lane(q.Register.Key, uint32(len(n.d.lanes)))]
				runtime.GC()
				before, w := objects(), watchLane(l)
				began := time.Now()
				for _, p := range payloads {
					if err := c.s.SendShared(rpc.Bulk, p); err != nil {
						b.Fatal(err)
					}
				}
				if r := c.await(answer).reply; r.Outcome != message.Acked {
					b.Fatalf("outcome %d", r.Outcome)
				}
				acked += time.Since(began)
				if err := n.d.engine.CatchUp(); err != nil {
					b.Fatal(err)
				}
				w.end()
				waited, memory = max(waited, w.longest), max(memory, w.memory-min(before, w.memory))
				runtime.KeepAlive(payloads)
			}
			b.ReportMetric(float64(waited.Microseconds())/1e3, "lane-ms-max")
			b.ReportMetric(float64(acked.Milliseconds())/float64(b.N), "ack-ms/op")
			b.ReportMetric(float64(memory)/1e6, "MB-max")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// payloads returns the messages of a request, and where its answer will be.
func (c *client) payloads(q *message.Request, inChunks bool) (out [][]byte, _ chan *answer) {
	if !inChunks {
		var ch chan *answer
		q.ID, ch = c.next()
		return [][]byte{wire.AppendRequest(nil, q)}, ch
	}
	ps, ch := c.cut(q, message.ChunkBytes)
	for _, p := range ps {
		out = append(out, wire.AppendChunk(nil, p))
	}
	return out, ch
}
