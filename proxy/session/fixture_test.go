package session

import (
	"context"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/proxytest"
	"synod/proxy/respio"
	"synod/proxy/stats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a group of sessions on a backend in memory, without a server.
type fixture struct {
	t       *testing.T
	group   *Group
	ln      net.Listener
	backend *proxytest.Backend
	logs    *observer.ObservedLogs
	running sync.WaitGroup
}

func start(t *testing.T, change ...func(*Config, *proxytest.Backend)) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	stop, cancel := context.WithCancel(context.Background())
	f := &fixture{t: t, backend: proxytest.New(), logs: logs}
	cfg := Config{Backend: f.backend, Log: zap.New(core), Commands: NewTable(stubs()), Stats: new(stats.Stats),
		Memory: respio.NewMemory(4 << 30), Stop: stop}
	for _, c := range change {
		c(&cfg, f.backend)
	}
	var settings Settings
	settings.BulkLimit.Store(512 << 20)
	settings.QueryLimit.Store(1 << 30)
	settings.MaxClients.Store(10000)
	f.group = NewGroup(cfg, &settings)
	var err error
	if f.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f.running.Go(f.accept)
	t.Cleanup(func() {
		f.ln.Close()
		f.group.Drain()
		f.running.Wait()
		cancel()
	})
	return f
}

func (f *fixture) accept() {
	for {
		conn, err := f.ln.Accept()
		if err != nil {
			return // closed at the end of the test
		}
		if s := f.group.Open(conn); s != nil {
			f.running.Go(s.Serve)
		}
	}
}

func (f *fixture) dial() *proxytest.Client {
	f.t.Helper()
	return proxytest.Dial(f.t, f.ln.Addr())
}

// stubs stands for a server's handlers: each waits for the commands before it and
// answers zero.
func stubs() Bindings {
	all := Bindings{}
	var add func(specs []*command.Spec)
	add = func(specs []*command.Spec) {
		for _, spec := range specs {
			if _, ok := own[spec.FullName]; !ok && !runsByItself(spec) {
				all[spec.FullName] = Binding{Waits: true, Run: func(*Session, [][]byte) *resp.Value { return resp.Int(0) }}
			}
			add(spec.Subcommands)
		}
	}
	add(command.All())
	return all
}

// TestTable shows that every command runs in one way.
func TestTable(t *testing.T) {
	bad := func(name string, change func(Bindings)) {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			b := stubs()
			change(b)
			NewTable(b)
		})
	}
	one := Binding{Run: func(*Session, [][]byte) *resp.Value { return nil }}
	bad("no handler", func(b Bindings) { delete(b, "info") })
	bad("two handlers", func(b Bindings) { b["ping"] = one })
	bad("handler and declaration", func(b Bindings) { b["get"] = one })
	bad("not declared", func(b Bindings) { b["nonsense"] = one })
	if NewTable(stubs())[command.Lookup([]byte("GET"))] == nil {
		t.Error("GET is not in the table")
	}
}
