package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// pipeOutput returns an output on a connection without a file descriptor, on
// which nothing is ever written at once, and the client's end of it.
func pipeOutput(t *testing.T, limit int64) (*output, net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	bound := new(atomic.Int64)
	bound.Store(limit)
	return newOutput(server, newMemory(0).open(func() {}), bound, new(counter)), client
}

func TestOutputKeepsOrder(t *testing.T) {
	o, client := pipeOutput(t, 0)
	var want bytes.Buffer
	piece := make([]byte, 0, 200_000)
	for i := range 300 {
		piece = append(piece[:0], bytes.Repeat([]byte{byte(i)}, i*i)...) // reused, as sessions do
		want.Write(piece)
		err := error(nil)
		if i%3 == 0 {
			err = o.give(bytes.Clone(piece))
		} else {
			err = o.write(piece)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := o.mem.bytes(); got == 0 {
		t.Error("what waits is not accounted for")
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the client got something else (%v)", err)
	}
	o.finish(patience)
	if n, chunks := o.waiting(); n != 0 || chunks != 0 || o.mem.bytes() != 0 {
		t.Errorf("%d bytes in %d chunks still wait, %d are accounted for", n, chunks, o.mem.bytes())
	}
}

func TestOutputLimit(t *testing.T) {
	o, _ := pipeOutput(t, 1000)
	if err := o.write(make([]byte, 600)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it stays an error
		if err := o.write(make([]byte, 600)); !errors.Is(err, errOutputLimit) {
			t.Fatalf("got %v", err)
		}
	}
	o.conn.Close()
	o.finish(patience)
	if got := o.mem.bytes(); got != 0 {
		t.Errorf("%d bytes are still accounted for", got)
	}
}

// TestOutputFinishIsPatientOnly checks that finish gives up on a client that
// does not read.
func TestOutputFinishIsPatientOnly(t *testing.T) {
	o, _ := pipeOutput(t, 0)
	if err := o.write([]byte("+OK\r\n")); err != nil {
		t.Fatal(err)
	}
	o.finish(time.Millisecond)
	if n, _ := o.waiting(); n != 0 {
		t.Errorf("%d bytes wait for nobody", n)
	}
	if err := o.write([]byte("+OK\r\n")); err == nil {
		t.Error("a failed output takes more")
	}
}
