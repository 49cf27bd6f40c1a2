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
	outcomes
)

var outcomeNames = [outcomes]string{"ok", "error", "clusterdown", "tryagain", "uncertain"}

func outcomeOf(v *resp.Value) outcome {
	switch v {
	case resp.ErrClusterDown:
		return outcomeClusterDown
	case resp.ErrTryAgain, errOverloaded:
		return outcomeTryAgain
	case resp.ErrUncertain:
		return outcomeUncertain
	}
	if v.IsError() {
		return outcomeError
	}
	return outcomeOK
}

// depthBuckets counts batches of 1, 2, up to 4, 8, … 4096 commands.
const depthBuckets = 13

// maxErrorCodes bounds the error codes that are counted one by one.
const maxErrorCodes = 128

// stats counts what the server does. All fields only grow, RESETSTAT aside.
type stats struct {
	connections    atomic.Int64
	rejected       atomic.Int64
	commands       atomic.Int64
	unknown        atomic.Int64 // requests that named no command, or wrongly
	protocolErrors atomic.Int64
	bytesIn        atomic.Int64
	bytesOut       atomic.Int64
	batches        [depthBuckets]atomic.Int64

	mu     sync.Mutex
	errors map[string]int64 // by code

	rate rate
}

// count notes a command's reply. e is nil if the request was no command.
func (st *stats) count(e *entry, v *resp.Value) {
	o := outcomeOf(v)
	if e == nil {
		st.unknown.Add(1)
	} else {
		e.counts[o].Add(1)
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
	st.commands.Add(int64(n))
	st.batches[min(bits.Len(uint(n-1)), depthBuckets-1)].Add(1)
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
	for _, n := range []*atomic.Int64{
		&st.connections, &st.rejected, &st.commands, &st.unknown, &st.protocolErrors,
		&st.bytesIn, &st.bytesOut,
	} {
		n.Store(0)
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
	commands, in, out := st.commands.Load(), st.bytesIn.Load(), st.bytesOut.Load()
	if s := now.Sub(r.at).Seconds(); !r.at.IsZero() && s > 0 {
		r.ops = max(0, float64(commands-r.commands)/s)
		r.inBytes = max(0, float64(in-r.in)/s)
		r.outBytes = max(0, float64(out-r.out)/s)
	}
	r.at, r.commands, r.in, r.out = now, commands, in, out
}

// perSecond returns commands and bytes in and out per second.
func (st *stats) perSecond() (ops, in, out float64) {
	st.rate.mu.Lock()
	defer st.rate.mu.Unlock()
	return st.rate.ops, st.rate.inBytes, st.rate.outBytes
}
