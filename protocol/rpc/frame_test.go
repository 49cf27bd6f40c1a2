package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"
)

func frame(payload []byte) []byte {
	var header [frameHeader]byte
	putFrameHeader(header[:], payload)
	return append(header[:], payload...)
}

// rawClient does a client's part down to the streams and leaves the frames to
// the test.
func rawClient(t *testing.T, addr string) (net.Conn, [classes]*yamux.Stream) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(nc, nil)
	if _, err := greet(c, &Options{Cluster: "test", Secrets: testSecrets, Kind: Proxy, Name: "raw"}); err != nil {
		t.Fatal(err)
	}
	mux, err := yamux.Client(c, muxConfig(zap.NewNop()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mux.Close() })
	var streams [classes]*yamux.Stream
	for i := range streams {
		if streams[i], err = mux.OpenStream(); err != nil {
			t.Fatal(err)
		}
	}
	return nc, streams
}

// TestBadFrameEndsItsSessionOnly: what breaks the framing ends the session, with an error that
// says how, and no other session.
func TestBadFrameEndsItsSessionOnly(t *testing.T) {
	damaged := frame([]byte("a payload"))
	damaged[len(damaged)-1] ^= 1
	huge := binary.BigEndian.AppendUint32(nil, uint32(Votes.MaxPayload()+1))
	huge = append(huge, 1, 2, 3, 4)
	for _, c := range []struct {
		name  string
		send  func(net.Conn, [classes]*yamux.Stream)
		check func(error) bool
	}{
		{"checksum", func(_ net.Conn, s [classes]*yamux.Stream) { s[Votes].Write(damaged) }, func(err error) bool {
			var sum *ChecksumError
			return errors.As(err, &sum) && sum.Class == Votes && sum.Size == 9
		}},
		{"length", func(_ net.Conn, s [classes]*yamux.Stream) { s[Votes].Write(huge) }, func(err error) bool {
			var size *SizeError
			return errors.As(err, &size) && size.Size == size.Limit+1
		}},
		{"half a frame, then the end of the stream", func(_ net.Conn, s [classes]*yamux.Stream) {
			s[Bulk].Write(damaged[:12])
			s[Bulk].Close()
		}, func(err error) bool { return errors.Is(err, ErrHungUp) && errors.Is(err, io.ErrUnexpectedEOF) }},
		{"half-closed connection", func(c net.Conn, s [classes]*yamux.Stream) {
			s[Votes].Write(damaged[:12])
			c.(*net.TCPConn).CloseWrite()
		}, func(err error) bool { return errors.Is(err, ErrHungUp) }},
		{"reset", func(c net.Conn, _ [classes]*yamux.Stream) {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}, func(err error) bool { return errors.Is(err, ErrHungUp) }},
		{"another stream", func(_ net.Conn, s [classes]*yamux.Stream) {
			s[0].Session().OpenStream()
		}, func(err error) bool { return errors.Is(err, ErrNotSynod) }},
		{"not yamux", func(c net.Conn, _ [classes]*yamux.Stream) {
			c.Write(bytes.Repeat([]byte{77}, 100))
		}, func(err error) bool { return errors.Is(err, ErrNotSynod) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended := make(chan error, 1)
			o := echoOptions()
			o.Closed = func(s *Session, err error) {
				if s.Peer().Name == "raw" {
					ended <- err
				}
			}
			addr, _ := serveTCP(t, o)
			k := newSink(1)
			other := dial(t, addr, k.options(Proxy, "p1"))
			nc, streams := rawClient(t, addr)
			c.send(nc, streams)
			if err := <-ended; !c.check(err) {
				t.Errorf("ended: %v", err)
			}
			if err := other.Send(Votes, []byte("x")); err != nil {
				t.Error(err)
			}
			<-k.got[Votes]
		})
	}
}

// TestMemoryGrowsWithBytes: a length alone takes no memory.
func TestMemoryGrowsWithBytes(t *testing.T) {
	data := binary.BigEndian.AppendUint32(nil, uint32(Bulk.MaxPayload()))
	data = append(data, make([]byte, 4+3<<20)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := newFrameReader(Bulk, bytes.NewReader(data)).next()
	runtime.ReadMemStats(&after)
	if err != io.ErrUnexpectedEOF {
		t.Errorf("%v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 9<<20 {
		t.Errorf("%d bytes allocated for %d that came", n, len(data))
	}
}

func TestLargeFrameArrivesWhole(t *testing.T) {
	want := pattern(5<<20 + 3)
	f := newFrameReader(Bulk, bytes.NewReader(append(frame(want), frame([]byte("next"))...)))
	if got, err := f.next(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := f.next(); err != nil || string(got) != "next" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := f.next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// writeCounter is a connection that counts writes and remembers them.
type writeCounter struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (w *writeCounter) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.writes = append(w.writes, bytes.Clone(p))
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// counted connects a client that counts its writes to a server that echoes.
func counted(t *testing.T, o Options) (s *Session, w *writeCounter, stop func()) {
	a, b := net.Pipe()
	w = &writeCounter{Conn: a}
	var server sync.WaitGroup
	server.Go(func() { NewServer(echoOptions()).ServeConn(b) })
	s, err := Client(context.Background(), w, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, w, func() {
		s.Close()
		<-s.Done()
		server.Wait()
	}
}

// TestOneWritePerFrame: a data header and its body leave by one system call,
// and a header without a body is not held back. It also fails when a new yamux
// writes in another way than conn relies on.
func TestOneWritePerFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newSink(1)
		s, w, stop := counted(t, k.options(Proxy, "p1"))
		const trips = 10
		payload := pattern(yamuxHeader - frameHeader) // a body as long as a header
		for range trips {
			if err := s.Send(Votes, payload); err != nil {
				t.Fatal(err)
			}
			<-k.got[Votes]
		}
		stop()
		data := 0
		for _, p := range w.writes[1:] { // after the hello
			if len(p) == yamuxHeader && p[1] == yamuxData {
				t.Errorf("a data header on its own: %x", p)
			}
			if bytes.HasSuffix(p, payload) {
				data++
			}
		}
		if data != trips || len(w.writes) > 1+classes+trips+4 {
			t.Errorf("%d data writes of %d, %d in all", data, trips, len(w.writes))
		}
	})
}

// TestBulkGoesInPieces: nothing has to wait behind more than a piece.
func TestBulkGoesInPieces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newSink(1)
		s, w, stop := counted(t, k.options(Proxy, "p1"))
		if err := s.SendShared(Bulk, pattern(1<<20)); err != nil {
			t.Fatal(err)
		}
		<-k.got[Bulk]
		stop()
		for _, p := range w.writes {
			if len(p) > 64<<10 {
				t.Errorf("%d bytes at once", len(p))
			}
		}
	})
}

// TestManyFramesPerWrite: what gathers while a write is under way leaves by one
// more.
func TestManyFramesPerWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newSink(1000)
		s, w, stop := counted(t, k.options(Proxy, "p1"))
		synctest.Wait()
		w.mu.Lock() // holds up the first write
		before := len(w.writes)
		for range 1000 {
			if err := s.Send(Votes, pattern(30)); err != nil {
				t.Fatal(err)
			}
		}
		w.mu.Unlock()
		for range 1000 {
			<-k.got[Votes]
		}
		stop()
		if n := len(w.writes) - before; n > 10 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestJoinedAndVectoredWritesAreTheSame: bodies on either side of the limit come out the same.
func TestJoinedAndVectoredWritesAreTheSame(t *testing.T) {
	for _, n := range []int{1, joinBelow - 1, joinBelow, 3 * joinBelow} {
		a, b := net.Pipe()
		c := newConn(a, nil)
		body := pattern(n)
		header := make([]byte, yamuxHeader)
		binary.BigEndian.PutUint32(header[8:], uint32(n))
		var got []byte
		var reader sync.WaitGroup
		reader.Go(func() { got, _ = io.ReadAll(b) })
		for _, p := range [][]byte{header, body} {
			if w, err := c.Write(p); w != len(p) || err != nil {
				t.Errorf("wrote %d of %d: %v", w, len(p), err)
			}
		}
		a.Close()
		reader.Wait()
		if !bytes.Equal(got, append(header, body...)) {
			t.Errorf("a body of %d came out wrong", n)
		}
	}
}

func FuzzFrames(f *testing.F) {
	for _, seed := range frameSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFrameReader(Votes, bytes.NewReader(data))
		var again []byte
		for {
			payload, err := r.next()
			if err == nil {
				again = append(again, frame(payload)...)
				continue
			}
			var size *SizeError
			var sum *ChecksumError
			if !errors.As(err, &size) && !errors.As(err, &sum) && err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatalf("error of no known type: %v", err)
			}
			if err == io.EOF && len(again) != len(data) || !bytes.HasPrefix(data, again) {
				t.Fatalf("%x read as %x: %v", data, again, err)
			}
			return
		}
	})
}

func frameSeeds() [][]byte {
	damaged := frame([]byte("damaged"))
	damaged[5]++
	return [][]byte{
		frame(nil), frame([]byte("one")), append(frame([]byte("one")), frame(pattern(300))...),
		frame(pattern(100))[:50], damaged, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	}
}

// writeCorpus writes the fuzz tests' seeds to testdata.
func writeCorpus(t *testing.T) {
	seeds := map[string][][]byte{
		"FuzzFrames": frameSeeds(),
		"FuzzHello": {
			(&hello{kind: Proxy, cluster: "synod", name: "p1", nonce: make([]byte, nonceSize), secrets: idsOf(testSecrets())}).append(nil),
			(&hello{status: statusCluster, kind: Node, cluster: "other", name: "n1"}).append(nil),
			(&hello{proof: make([]byte, proofSize)}).append(nil),
			[]byte("SYNOD\x04\x00\x06\x00\x01\x00\x01\x01\x63"), // cut short
			[]byte("SYNOD\x04\x00\x05\x00\xc8\x00\x01\x01"),     // a field of later
			[]byte("SYNOD\x01\x00\x03\x00\x01\xff"),
			[]byte("*1\r\n$4\r\nPING\r\n"),
		},
	}
	for name, all := range seeds {
		dir := filepath.Join("testdata", "fuzz", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, seed := range all {
			text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", seed)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed-%d", i)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
