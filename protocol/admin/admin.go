// Package admin is the HTTP server for operators that every daemon has, on an
// address of its own:
//
//	/healthz       200 while the process lives
//	/readyz        200 if the daemon can do its work, else 503 and the reason
//	/metrics       for Prometheus
//	/debug/pprof/  Go's profiles
//
// There is no access control: whoever reaches the address can slow the daemon down
// with profiles. What it serves has no secrets; the command line, which may have
// passwords, is left out.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Guards against clients that are slow or send too much.
const (
	headerPatience = 5 * time.Second
	idlePatience   = time.Minute
	headerBytesMax = 16 << 10
)

// Options are what a Server needs.
type Options struct {
	Log *zap.Logger
	// Ready returns why the daemon cannot do its work at present; nil if it can.
	// It must be safe for concurrent use.
	Ready func() error
	// Failed is called, at most once, if the server stops for another reason than
	// Close.
	Failed func(error)
	// Collectors have the metrics of the daemon. Those of the process and of Go
	// are added.
	Collectors []prometheus.Collector
}

// Server answers operators over HTTP.
type Server struct {
	ln      net.Listener
	http    *http.Server
	serving sync.WaitGroup
}

// New serves on ln, which it owns from now on, until Close.
func New(ln net.Listener, o Options) (*Server, error) {
	registry := prometheus.NewRegistry()
	for _, c := range append([]prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, o.Collectors...) {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	s := &Server{ln: ln, http: &http.Server{
		Handler:           routes(registry, o.Ready),
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          zap.NewStdLog(o.Log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	}}
	s.serving.Go(func() {
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.Failed(fmt.Errorf("admin HTTP: %w", err))
		}
	})
	return s, nil
}

func routes(registry *prometheus.Registry, ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, ready()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func answer(w http.ResponseWriter, problem error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if problem != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, problem)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close finishes the running requests. When ctx ends first, it cuts them off and
// returns an error.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("admin HTTP: %w", err), s.http.Close())
	}
	s.serving.Wait()
	return err
}
