package proxy

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

// Admin answers operators over HTTP: /healthz (the process lives), /readyz (it
// can serve clients), /metrics for Prometheus, and Go's profiles below
// /debug/pprof/. Whoever reaches it can slow the proxy down with profiles, so
// it has an address of its own.
type Admin struct {
	ln   net.Listener
	http *http.Server
	done sync.WaitGroup
}

// AdminOptions are what an Admin needs.
type AdminOptions struct {
	Log *zap.Logger
	// Ready tells why the proxy cannot serve clients now; nil if it can.
	Ready func() error
	// Collectors have the metrics, beside those of the process itself. Any
	// package that keeps counters can be one.
	Collectors []prometheus.Collector
}

// NewAdmin serves on ln, which it takes over, until Close.
func NewAdmin(ln net.Listener, o AdminOptions) (*Admin, error) {
	registry := prometheus.NewRegistry()
	for _, c := range append([]prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, o.Collectors...) {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, o.Ready()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	// The command line is left out: there may be passwords in it.
	mux.HandleFunc("/debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)

	a := &Admin{ln: ln, http: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(o.Log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	}}
	a.done.Go(func() {
		if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("admin HTTP ended", zap.Error(err))
		}
	})
	return a, nil
}

// Addr returns the address that the admin server listens on.
func (a *Admin) Addr() net.Addr { return a.ln.Addr() }

// Close finishes the requests under way, until ctx ends.
func (a *Admin) Close(ctx context.Context) error {
	err := a.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("admin HTTP: %w", err), a.http.Close())
	}
	a.done.Wait()
	return err
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
