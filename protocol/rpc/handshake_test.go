package rpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"synod/protocol/wire"
)

// guarded starts a server that logs to the observer, and returns what checks
// that it refused just one connection, with a line that has the words, and that
// an older session has not noticed.
func guarded(t *testing.T) (addr string, check func(words string)) {
	core, logs := observer.New(zap.WarnLevel)
	o := echoOptions()
	o.Log = zap.New(core)
	addr, v := serveTCP(t, o)
	k := newSink(1)
	s := dial(t, addr, k.options(Proxy, "p1"))
	return addr, func(words string) {
		t.Helper()
		if err := s.Send(Votes, []byte("still there")); err != nil {
			t.Fatal(err)
		}
		<-k.got[Votes]
		s.Close()
		<-s.Done()
		v.Close() // waits for the refused one's goroutine
		all := logs.All()
		if len(all) != 1 || !strings.Contains(all[0].ContextMap()["error"].(string), words) {
			t.Errorf("logged %v, want one line with %q", all, words)
		}
	}
}

// TestGarbageOnThePort: clients of other protocols are shown the door.
func TestGarbageOnThePort(t *testing.T) {
	for name, garbage := range map[string]string{
		"http":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"redis":  "*1\r\n$4\r\nPING\r\n",
		"zeros":  string(make([]byte, 100)),
		"body":   "SYNOD" + string(rune(wire.Version)) + "\x00\x05\x00\x01\x00\xff\x02",
		"long":   "SYNOD" + string(rune(wire.Version)) + "\x10\x01" + string(make([]byte, helloBody+1)),
		"random": string(pattern(5000)),
	} {
		t.Run(name, func(t *testing.T) {
			addr, check := guarded(t)
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, garbage); err != nil {
				t.Fatal(err)
			}
			if answer, _ := io.ReadAll(c); len(answer) != 0 {
				t.Errorf("answered %q", answer)
			}
			check(ErrNotSynod.Error())
		})
	}
}

// TestProbeIsNotLogged: a connection that says nothing and goes is not worth a line.
func TestProbeIsNotLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	o := echoOptions()
	o.Log = zap.New(core)
	addr, v := serveTCP(t, o)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the server did not hang up: %v", err)
	}
	c.Close()
	v.Close()
	if logs.Len() != 0 {
		t.Errorf("logged %v", logs.All())
	}
}

// TestOtherVersionIsToldToBothSides: both sides learn of it.
func TestOtherVersionIsToldToBothSides(t *testing.T) {
	addr, check := guarded(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	newer := "SYNOD\x09\x00\x0csomething el"
	if _, err := io.WriteString(c, newer); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "SYNOD"+string(rune(wire.Version))) {
		t.Errorf("answered %q, %v", answer, err)
	}
	check("version 9")

	a, b := net.Pipe()
	var server sync.WaitGroup
	server.Go(func() {
		defer b.Close()
		if _, _, err := readHello(bufio.NewReader(b)); err != nil {
			t.Error(err)
		}
		io.WriteString(b, newer)
	})
	_, err = Client(context.Background(), a, newSink(0).options(Proxy, "p1"))
	var version *VersionError
	if !errors.As(err, &version) || *version != (VersionError{Ours: wire.Version, Theirs: 9}) {
		t.Errorf("client: %v", err)
	}
	server.Wait()
}

func TestOtherClusterIsToldToBothSides(t *testing.T) {
	addr, check := guarded(t)
	o := newSink(0).options(Proxy, "p2")
	o.Cluster = "production"
	_, err := Dial(context.Background(), addr, o)
	var cluster *ClusterError
	if !errors.As(err, &cluster) || *cluster != (ClusterError{Ours: "production", Theirs: "test"}) {
		t.Errorf("client: %v", err)
	}
	check(`cluster "production"`)
}

// TestOtherPeerThanExpectedIsRefused: votes of a node that took over another's address must not
// count as the other's.
func TestOtherPeerThanExpectedIsRefused(t *testing.T) {
	addr, _ := serveTCP(t, echoOptions())
	o := newSink(0).options(Proxy, "p1")
	o.Expect = "n2"
	_, err := Dial(context.Background(), addr, o)
	var peer *PeerError
	if !errors.As(err, &peer) || *peer != (PeerError{Want: "n2", Got: "n1"}) {
		t.Errorf("%v", err)
	}
	o.Expect = "n1"
	dial(t, addr, o)
}

func TestFullServerSaysBusy(t *testing.T) {
	addr, v := serveTCP(t, echoOptions())
	v.mu.Lock()
	v.places.taken += maxSessions
	v.mu.Unlock()
	if _, err := Dial(context.Background(), addr, newSink(0).options(Proxy, "p1")); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	v.mu.Lock()
	v.places.taken -= maxSessions
	v.mu.Unlock()
	dial(t, addr, newSink(0).options(Proxy, "p1"))
}

// TestSilentHandshakeTimesOut: neither side waits for ever for the other's hello.
func TestSilentHandshakeTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		o := echoOptions()
		o.Log = zap.New(core)
		begin := time.Now()
		a, b := net.Pipe()
		NewServer(o).ServeConn(b)
		a.Close()
		if d := time.Since(begin); d != handshakeTimeout || logs.Len() != 1 {
			t.Errorf("the server waited for %v and logged %v", d, logs.All())
		}

		begin = time.Now()
		a, b = net.Pipe()
		go io.Copy(io.Discard, b)
		if _, err := Client(context.Background(), a, o); !errors.Is(err, ErrSilent) {
			t.Errorf("client: %v", err)
		}
		if d := time.Since(begin); d != handshakeTimeout {
			t.Errorf("the client waited for %v", d)
		}

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a, b = net.Pipe()
		go io.Copy(io.Discard, b)
		if _, err := Client(ctx, a, o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("client with a deadline: %v", err)
		}
	})
}

// TestClientWithoutStreamsIsLetGo: a client that never opens its streams is let go.
func TestClientWithoutStreamsIsLetGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		k := newSink(0)
		go NewServer(k.options(Node, "n1")).ServeConn(b)
		if _, err := greet(newConn(a, nil), &Options{Cluster: "test", Secrets: testSecrets, Kind: Proxy, Name: "p1"}); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, a)
		if err := <-k.ended; !errors.Is(err, ErrSilent) {
			t.Errorf("ended: %v", err)
		}
		a.Close()
	})
}

func TestDialSaysWhereNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Dial(context.Background(), l.Addr().String(), newSink(0).options(Proxy, "p1")); err == nil || !strings.HasPrefix(err.Error(), "rpc: dial: ") {
		t.Errorf("%v", err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add((&hello{kind: Proxy, cluster: "test", name: "p1", nonce: newNonce(), secrets: idsOf(testSecrets())}).append(nil))
	f.Add((&hello{status: statusBusy, kind: Node, cluster: strings.Repeat("c", maxName), name: ""}).append(nil))
	f.Add([]byte("SYNOD\x09\x00\x04abcd"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, raw, err := readHello(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			var version *VersionError
			if !errors.Is(err, ErrNotSynod) && !errors.As(err, &version) &&
				err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatalf("error of no known type: %v", err)
			}
			return
		}
		if !bytes.HasPrefix(data, raw) {
			t.Fatalf("%q read as %q", data, raw)
		}
		again, _, err := readHello(bufio.NewReader(bytes.NewReader(h.append(nil))))
		if err != nil || !reflect.DeepEqual(h, again) {
			t.Fatalf("%q decoded as %+v, then as %+v, %v", data, h, again, err)
		}
	})
}

// TestWriteCorpus writes the seeds that are in the tree, when asked to.
func TestWriteCorpus(t *testing.T) {
	if os.Getenv("SYNOD_WRITE_CORPUS") == "" {
		t.Skip("SYNOD_WRITE_CORPUS is not set")
	}
	writeCorpus(t)
}
