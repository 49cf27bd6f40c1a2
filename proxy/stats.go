package proxy

import (
	"bytes"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synod/protocol/resp"
)

// outcome is how a command ended, for counting.
type outcome uint8

const (
	outcomeOK outcome = iota
	outcomeError
	outcomeClusterDown
	outcomeTryAgain
	outcomeUncertain
	outcomeOOM
	outcomes
)

var outcomeNames = [outcomes]string{"ok", "error", "clusterdown", "tryagain", "uncertain", "oom"}

// clusterDown begins all errors that say that there is no quorum, outOfMemory those
// that say that there is no room, in memory or on disks.
var (
	clusterDown = []byte("CLUSTERDOWN ")
	outOfMemory = []byte("OOM ")
)

func outcomeOf(v *resp.Value) outcome {
	switch v {
	case resp.ErrTryAgain, errOverloaded:
		return outcomeTryAgain
	case resp.ErrUncertain:
		return outcomeUncertain
	}
	switch {
	case !v.IsError():
		return outcomeOK
	case bytes.HasPrefix(v.Str, clusterDown):
		return outcomeClusterDown
	case bytes.HasPrefix(v.Str, outOfMemory):
		return outcomeOOM
	}
	return outcomeError
}

// depthBuckets counts batches of 1, 2, up to 4, 8, … 4096 commands.
const depthBuckets = 13

// maxErrorCodes bounds the error codes that are counted one by one.
const maxErrorCodes = 128

// counter only grows. INFO shows it since the last CONFIG RESETSTAT, metrics
// show it all.
type counter struct {
	n    atomic.Int64
	zero atomic.Int64 // n at the last reset
}

func (c *counter) add(n int64)  { c.n.Add(n) }
func (c *counter) total() int64 { return c.n.Load() }
func (c *counter) since() int64 { return c.n.Load() - c.zero.Load() }
func (c *counter) reset()       { c.zero.Store(c.n.Load()) }

// stats counts what the server does.
type stats struct {
	connections    counter
	rejected       counter
	commands       counter
	unknown        counter // requests that named no command, or wrongly
	protocolErrors counter
	bytesIn        counter
	bytesOut       counter
	batches        [depthBuckets]counter

	mu     sync.Mutex
	errors map[string]int64 // by code, since the last reset

	rate rate
}

// count notes a command's reply. e is nil if the request was no command.
func (st *stats) count(e *entry, v *resp.Value) {
	o := outcomeOf(v)
	if e == nil {
		st.unknown.add(1)
	} else {
		e.counts[o].add(1)
	}
	if o != outcomeOK {
		st.countError(v)
	}
}

func (st *stats) countError(v *resp.Value) {
	code, _, _ := bytes.Cut(v.Str, []byte{' '})
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.errors == nil {
		st.errors = map[string]int64{}
	}
	if _, ok := st.errors[string(code)]; ok || len(st.errors) < maxErrorCodes {
		st.errors[string(code)]++
	}
}

// batch notes that n commands were run together.
func (st *stats) batch(n int) {
	st.commands.add(int64(n))
	st.batches[min(bits.Len(uint(n-1)), depthBuckets-1)].add(1)
}

// errorCodes returns the counted codes, sorted, and how often each came.
func (st *stats) errorCodes() ([]string, map[string]int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Sorted(maps.Keys(st.errors)), maps.Clone(st.errors)
}

// reset is CONFIG RESETSTAT.
func (srv *Server) resetStats() {
	st := &srv.stats
	for _, c := range []*counter{
		&st.connections, &st.rejected, &st.commands, &st.unknown, &st.protocolErrors, &st.bytesIn, &st.bytesOut,
	} {
		c.reset()
	}
	st.mu.Lock()
	st.errors = nil
	st.mu.Unlock()
	for _, e := range srv.table {
		e.reset()
	}
}

// rate is how much happened per second lately.
type rate struct {
	mu       sync.Mutex
	at       time.Time
	commands int64
	in, out  int64
	ops      float64
	inBytes  float64
	outBytes float64
}

// sample measures the rates since the last sample.
func (st *stats) sample(now time.Time) {
	r := &st.rate
	r.mu.Lock()
	defer r.mu.Unlock()
	commands, in, out := st.commands.total(), st.bytesIn.total(), st.bytesOut.total()
	if s := now.Sub(r.at).Seconds(); !r.at.IsZero() && s > 0 {
		r.ops = float64(commands-r.commands) / s
		r.inBytes = float64(in-r.in) / s
		r.outBytes = float64(out-r.out) / s
	}
	r.at, r.commands, r.in, r.out = now, commands, in, out
}

// perSecond returns commands and bytes in and out per second.
func (st *stats) perSecond() (ops, in, out float64) {
	st.rate.mu.Lock()
	defer st.rate.mu.Unlock()
	return st.rate.ops, st.rate.inBytes, st.rate.outBytes
}
