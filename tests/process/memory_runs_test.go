package process

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/rpc"
	"synod/tests/harness"
)

// Many large values are written concurrently and read with one command, and
// many medium ones with one pipeline.
func TestManyLargeValues(t *testing.T) {
	c := limited(t)
	const clients, size = 16, 32 << 20
	var wg sync.WaitGroup
	for i := range clients {
		s := openStream(t, c.Addrs()[0])
		wg.Go(func() {
			if err := s.put(size, byte(i), "SET", fmt.Sprint("k", i)); err != nil {
				t.Error(err)
			} else if got, err := s.head(); err != nil || got != "+OK" {
				t.Errorf("SET: %q %v", got, err)
			}
		})
	}
	wg.Wait()
	s := openStream(t, c.Addrs()[0])
	words := []string{"MGET"}
	for i := range clients {
		words = append(words, fmt.Sprint("k", i))
	}
	s.send(t, words...)
	s.want(t, "MGET", fmt.Sprint("*", clients))
	for i := range clients {
		s.wantSum(t, "MGET", sumOf(size, byte(i)))
	}
	keys, middling := atLength(2_000, 10_000), int64(100<<10)
	go func() {
		for i := range keys {
			if err := s.put(middling, byte(i), "SET", fmt.Sprint("m", i)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range keys {
		s.want(t, "SET", "+OK")
	}
	wantBounded(t, c)
}

// atLength is the size of what a test does: less than in a soak, where there is time.
func atLength(test, soak int) int {
	if *soakFor > 0 {
		return soak
	}
	return test
}

// fillKeys sets keys of 64 bytes in pipelines.
func fillKeys(t *testing.T, addr, prefix string, keys int, options ...string) {
	t.Helper()
	s := openStream(t, addr)
	value := string(bytes.Repeat([]byte("v"), 64))
	const each = 500
	for from := 0; from < keys; from += each {
		var b []byte
		for i := from; i < min(from+each, keys); i++ {
			b = append(b, harness.Command(append([]string{"SET", fmt.Sprint(prefix, i), value}, options...)...)...)
		}
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		for range min(each, keys-from) {
			s.want(t, "SET", "+OK")
		}
	}
}

// 200,000 keys expire at the same moment, and are deleted while clients
// continue.
func TestKeysThatExpireAtOnce(t *testing.T) {
	c := bounded(t, nil)
	const keys = 200_000
	at := time.Now().Add(12 * time.Second)
	fillKeys(t, c.Addrs()[0], "expires:", keys, "PXAT", fmt.Sprint(at.UnixMilli()))
	w := run(t, 8, c.Addrs()...)
	s := openStream(t, c.Addrs()[0])
	if !harness.Poll(3*time.Minute, func() bool {
		s.send(t, "DBSIZE")
		n := 0
		if head, err := s.head(); err != nil {
			t.Fatal(err)
		} else if _, err := fmt.Sscanf(head, ":%d", &n); err != nil {
			t.Fatal(head, err)
		}
		return time.Now().After(at) && n < keys*9/10
	}) {
		t.Error("they are all still there")
	}
	w.progress(enough)
	w.check(c.Addrs()[0])
	if refused, uncertain := w.lostSoFar(); refused+uncertain > 0 {
		t.Errorf("%d commands were refused, %d ended with an unknown outcome", refused, uncertain)
	}
	wantBounded(t, c)
}

// A node with many keys and a full cache stays within its limit.
func TestFullCache(t *testing.T) {
	c := bounded(t, []string{"--cache-size", "256MiB"})
	const parts = 4
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { fillKeys(t, c.Addrs()[0], fmt.Sprint(i, ":"), atLength(300_000, 865_000)/parts) })
	}
	wg.Wait()
	wantBounded(t, c)
}

// Peers that send frames of maximum size do not use up a node's memory.
func TestLargeFrames(t *testing.T) {
	c := limited(t)
	secrets := secretOf(t, c)
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	frame := make([]byte, 500<<20)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := pretend(context.Background(), c.Nodes[0], secrets, ballot.ProposerID(90+i), func(*rpc.Session, rpc.Class, []byte) {})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.SendShared(rpc.Bulk, frame); err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_ = s.Flush(ctx) // or the node hangs up
		})
	}
	wg.Wait()
	w.progress(enough)
	w.check(c.Addrs()[0])
	wantBounded(t, c)
}
