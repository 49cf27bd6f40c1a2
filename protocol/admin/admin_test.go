package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// start serves on a free port until the end of the test.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Log = zap.NewNop()
	s, err := New(ln, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + s.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(body)
}

func TestPages(t *testing.T) {
	problem := errors.New("no quorum yet")
	ready := make(chan error, 2)
	ready <- problem
	ready <- nil
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "a_counter", Help: "Counts."})
	s := start(t, Options{Ready: func() error { return <-ready }, Collectors: []prometheus.Collector{c}})
	c.Inc()
	for _, want := range []struct {
		path     string
		code     int
		contains string
	}{
		{"/healthz", 200, "ok\n"},
		{"/readyz", 503, problem.Error()},
		{"/readyz", 200, "ok\n"},
		{"/metrics", 200, "a_counter 1"},
		{"/metrics", 200, "go_goroutines "},
		{"/metrics", 200, "process_open_fds "},
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/cmdline", 404, ""},
		{"/nothing", 404, ""},
	} {
		if code, body := get(t, s, want.path); code != want.code || !strings.Contains(body, want.contains) {
			t.Errorf("%s: %d %.300q, want %d with %q", want.path, code, body, want.code, want.contains)
		}
	}
}

func TestTwoCollectorsOfOneMetric(t *testing.T) {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "a_counter", Help: "Counts."})
	if _, err := New(nil, Options{Collectors: []prometheus.Collector{c, c}}); err == nil {
		t.Error("no error for a metric that is there twice")
	}
}

// TestFailureIsReported takes the listener away from the server.
func TestFailureIsReported(t *testing.T) {
	failed := make(chan error, 1)
	s := start(t, Options{Failed: func(err error) { failed <- err }})
	s.ln.Close()
	select {
	case <-failed:
	case <-time.After(patience):
		t.Error("nobody was told")
	}
}

// TestCloseIsPatientOnly closes the server while a profile is taken.
func TestCloseIsPatientOnly(t *testing.T) {
	s := start(t, Options{})
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /debug/pprof/trace?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
