package stats

import (
	"fmt"
	"testing"
	"time"
)

func TestBatchesAreCountedBySize(t *testing.T) {
	var st Stats
	for _, n := range []int{1, 2, 3, 4, 5, 4096} {
		st.CountBatch(n)
	}
	want := map[float64]uint64{1: 1, 2: 2, 4: 4, 8: 5, 2048: 5, 4096: 6}
	buckets, batches := st.Batches()
	if batches != 6 || len(buckets) != depthBuckets {
		t.Errorf("%d batches in %d buckets", batches, len(buckets))
	}
	for bound, n := range want {
		if buckets[bound] != n {
			t.Errorf("up to %v commands: %d batches, want %d", bound, buckets[bound], n)
		}
	}
	if n := st.Commands.Total(); n != 4111 {
		t.Errorf("%d commands", n)
	}
}

func TestResetHidesFromSinceOnly(t *testing.T) {
	var st Stats
	st.Connections.Add(3)
	st.CountError([]byte("ERR"))
	st.Reset()
	st.Connections.Add(1)
	if total, since := st.Connections.Total(), st.Connections.Since(); total != 4 || since != 1 {
		t.Errorf("total %d, since the reset %d", total, since)
	}
	if codes, _ := st.Errors(); len(codes) != 0 {
		t.Errorf("codes %v are left", codes)
	}
}

func TestErrorCodesAreBounded(t *testing.T) {
	var st Stats
	for i := range 2 * maxErrorCodes {
		st.CountError(fmt.Append(nil, "E", i))
	}
	st.CountError([]byte("E0"))
	codes, n := st.Errors()
	if len(codes) != maxErrorCodes || n["E0"] != 2 {
		t.Errorf("%d codes, E0 %d times", len(codes), n["E0"])
	}
}

func TestRates(t *testing.T) {
	var st Stats
	start := time.Unix(1, 0)
	st.Sample(start)
	st.Commands.Add(10)
	st.BytesIn.Add(100)
	st.Sample(start.Add(2 * time.Second))
	if ops, in, out := st.PerSecond(); ops != 5 || in != 50 || out != 0 {
		t.Errorf("%v commands, %v bytes in, %v out per second", ops, in, out)
	}
}
