package respio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"synod/proxy/proxytest"
	"synod/proxy/stats"
)

// pipeOutput returns an Output to a connection without a file descriptor, so that all
// is queued, and the client's end of the connection.
func pipeOutput(t *testing.T, limit int64) (*Output, net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	bound := new(atomic.Int64)
	bound.Store(limit)
	return NewOutput(server, NewMemory(0).Open(func() {}), bound, new(stats.Counter)), client
}

func TestOutputKeepsOrder(t *testing.T) {
	o, client := pipeOutput(t, 0)
	var want bytes.Buffer
	piece := make([]byte, 0, 200_000)
	got := make(chan []byte, 1)
	for i := range 300 {
		piece = append(piece[:0], bytes.Repeat([]byte{byte(i)}, i*i)...) // reused, as in sessions
		want.Write(piece)
		err := error(nil)
		if i%3 == 0 {
			err = o.Give(bytes.Clone(piece))
		} else {
			err = o.Write(piece)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 150 { // something must be queued first
			if o.mem.Bytes() == 0 {
				t.Error("the queue is not accounted for")
			}
			go func() {
				all, _ := io.ReadAll(client)
				got <- all
			}()
		}
	}
	o.Finish(proxytest.Patience)
	if n, buffers := o.Waiting(); n != 0 || buffers != 0 || o.mem.Bytes() != 0 {
		t.Errorf("%d bytes in %d buffers are queued, %d are accounted for", n, buffers, o.mem.Bytes())
	}
	o.conn.Close()
	if !bytes.Equal(<-got, want.Bytes()) {
		t.Error("the client got something else")
	}
}

// TestOutputHoldsBack: when memory is crowded, the writer waits until the client reads.
func TestOutputHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client := pipeOutput(t, 0)
		o.mem.of.ample = outputAhead
		const replies = 100
		var sent atomic.Int64
		go func() {
			for range replies {
				if o.Write(make([]byte, outputAhead/8)) != nil {
					return
				}
				sent.Add(1)
			}
		}()
		synctest.Wait()
		if n, _ := o.Waiting(); n > outputAhead+outputAhead/8 || sent.Load() > 9 {
			t.Errorf("%d replies were written, %d bytes wait, though the client does not read", sent.Load(), n)
		}
		if n, err := io.CopyN(io.Discard, client, replies*outputAhead/8); err != nil {
			t.Errorf("the client got %d bytes: %v", n, err)
		}
		synctest.Wait()
		if sent.Load() != replies {
			t.Errorf("%d of %d replies were written", sent.Load(), replies)
		}
	})
}

// TestOutputWaitEndsWithConnection: a waiting writer returns when the connection ends.
func TestOutputWaitEndsWithConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client := pipeOutput(t, 0)
		done := make(chan error, 1)
		o.mem.of.ample = outputAhead
		go func() { done <- o.Write(make([]byte, 2*outputAhead)) }()
		synctest.Wait()
		client.Close()
		if err := <-done; err == nil {
			t.Error("the reply is lost without an error")
		}
	})
}

// TestOutputLimit: the operator's limit ends a client, but never for a single reply.
func TestOutputLimit(t *testing.T) {
	o, _ := pipeOutput(t, 1000)
	if err := o.Write(make([]byte, 600)); err != nil {
		t.Fatal(err)
	}
	if err := o.More(make([]byte, 600)); err != nil {
		t.Fatalf("the reply in progress counts: %v", err)
	}
	for range 2 { // it stays an error
		if err := o.Write(make([]byte, 600)); !errors.Is(err, ErrOutputLimit) {
			t.Fatalf("got %v", err)
		}
	}
	o.conn.Close()
	o.Finish(proxytest.Patience)
	if got := o.mem.Bytes(); got != 0 {
		t.Errorf("%d bytes are still accounted for", got)
	}
}

// TestOutputFinishIsPatientOnly: Finish gives up on a client that does not read.
func TestOutputFinishIsPatientOnly(t *testing.T) {
	o, _ := pipeOutput(t, 0)
	if err := o.Write([]byte("+OK\r\n")); err != nil {
		t.Fatal(err)
	}
	o.Finish(time.Millisecond)
	if n, _ := o.Waiting(); n != 0 {
		t.Errorf("%d bytes are still queued", n)
	}
	if err := o.Write([]byte("+OK\r\n")); err == nil {
		t.Error("a failed output takes more")
	}
}
