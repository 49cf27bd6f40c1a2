// Package stats counts what the front end of a proxy does. INFO shows the
// counters since the last CONFIG RESETSTAT, Prometheus since the start. Counting
// is safe from any goroutine.
package stats

import (
	"maps"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is how a command ended.
type Outcome uint8

// The outcomes, by the error code of the reply.
const (
	OK Outcome = iota
	Error
	ClusterDown
	TryAgain
	Uncertain
	OOM
	outcomes
)

var outcomeNames = [outcomes]string{"ok", "error", "clusterdown", "tryagain", "uncertain", "oom"}

// String returns the name that metrics have for an outcome.
func (o Outcome) String() string { return outcomeNames[o] }

// Counter only grows.
type Counter struct {
	n    atomic.Int64
	zero atomic.Int64 // n at the last reset
}

// Add counts n more.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Total is the count since the start.
func (c *Counter) Total() int64 { return c.n.Load() }

// Since is the count since the last Reset.
func (c *Counter) Since() int64 { return c.n.Load() - c.zero.Load() }

// Reset makes Since begin at zero.
func (c *Counter) Reset() { c.zero.Store(c.n.Load()) }

// Outcomes counts how the calls of one command ended, by Outcome.
type Outcomes [outcomes]Counter

// Reset resets all counters.
func (c *Outcomes) Reset() {
	for i := range c {
		c[i].Reset()
	}
}

const (
	// depthBuckets: batches of 1, 2, up to 4, 8, … 4096 commands.
	depthBuckets = 13
	// maxErrorCodes is how many different error codes are counted, since
	// clients can provoke any number of them.
	maxErrorCodes = 128
)

// Stats has the counters of one server.
type Stats struct {
	Connections    Counter // accepted
	Rejected       Counter // connections beyond maxclients
	Commands       Counter
	Unknown        Counter // requests with an unknown name or a wrong number of arguments
	ProtocolErrors Counter // connections closed for malformed requests
	BytesIn        Counter // read from clients
	BytesOut       Counter // written to clients
	batches        [depthBuckets]Counter

	mu     sync.Mutex
	errors map[string]int64 // by code, since the last reset

	rate rate
}

// CountError counts an error reply by its code.
func (st *Stats) CountError(code []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.errors == nil {
		st.errors = map[string]int64{}
	}
	if _, ok := st.errors[string(code)]; ok || len(st.errors) < maxErrorCodes {
		st.errors[string(code)]++
	}
}

// CountBatch counts n commands that ran together.
func (st *Stats) CountBatch(n int) {
	st.Commands.Add(int64(n))
	st.batches[min(bits.Len(uint(n-1)), depthBuckets-1)].Add(1)
}

// Batches returns how many batches there were, in all and cumulated by their
// upper bounds 1, 2, 4, … 4096 commands.
func (st *Stats) Batches() (buckets map[float64]uint64, batches uint64) {
	buckets = make(map[float64]uint64, depthBuckets)
	for i := range st.batches {
		batches += uint64(st.batches[i].Total())
		buckets[float64(int(1)<<i)] = batches
	}
	return buckets, batches
}

// Errors returns the error codes counted, sorted, and their counts.
func (st *Stats) Errors() ([]string, map[string]int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Sorted(maps.Keys(st.errors)), maps.Clone(st.errors)
}

// Reset resets all counters, except those of single commands.
func (st *Stats) Reset() {
	for _, c := range []*Counter{
		&st.Connections, &st.Rejected, &st.Commands, &st.Unknown, &st.ProtocolErrors, &st.BytesIn, &st.BytesOut,
	} {
		c.Reset()
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.errors = nil
}

// rate is how much happened per second between the last two samples.
type rate struct {
	mu       sync.Mutex
	at       time.Time
	commands int64
	in, out  int64
	ops      float64
	inBytes  float64
	outBytes float64
}

// Sample measures the rates since the last sample.
func (st *Stats) Sample(now time.Time) {
	r := &st.rate
	r.mu.Lock()
	defer r.mu.Unlock()
	commands, in, out := st.Commands.Total(), st.BytesIn.Total(), st.BytesOut.Total()
	if s := now.Sub(r.at).Seconds(); !r.at.IsZero() && s > 0 {
		r.ops = float64(commands-r.commands) / s
		r.inBytes = float64(in-r.in) / s
		r.outBytes = float64(out-r.out) / s
	}
	r.at, r.commands, r.in, r.out = now, commands, in, out
}

// PerSecond returns commands, and bytes in and out, per second.
func (st *Stats) PerSecond() (ops, in, out float64) {
	st.rate.mu.Lock()
	defer st.rate.mu.Unlock()
	return st.rate.ops, st.rate.inBytes, st.rate.outBytes
}
