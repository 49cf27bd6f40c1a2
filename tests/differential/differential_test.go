package differential

import (
	"context"
	"flag"
	"net"
	"strings"
	"testing"

	"go.uber.org/zap"

	"synod/proxy/command"
	"synod/proxy/command/commandtest"
	"synod/proxy/proxytest"
	"synod/proxy/server"
	"synod/tests/harness"
)

var (
	seed   = flag.Uint64("seed", 1, "the first sequence's seed")
	number = flag.Int("commands", 10_000, "how many commands to compare")
	every  = flag.Bool("every", false, "go on after a difference and report one sequence per command")
	target = flag.String("target", "synod", "what to compare with Redis: synod (a cluster of its own), memory (the front end on a backend in memory), or the address of a server, whose data are flushed")
)

func TestMain(m *testing.M) { harness.Main(m) }

// underTest starts what -target names.
func underTest(t *testing.T) []string {
	t.Helper()
	switch *target {
	case "synod":
		return harness.StartLocal(t, 2).Addrs
	case "memory":
		return []string{inMemory(t)}
	}
	return strings.Split(*target, ",")
}

// inMemory starts the front end on a backend in memory.
func inMemory(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(l, server.Options{Backend: proxytest.New(), Log: zap.NewNop(), Version: "test"})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// compare runs sequences until n steps have been compared, or fails the test
// with the shortest sequence that it finds.
func compare(t *testing.T, p *Pair, first uint64, n int) {
	t.Helper()
	for s := first; n > 0; s++ {
		steps := Sequence(s)
		n -= len(steps)
		m, err := p.Run(steps)
		if err != nil {
			t.Fatalf("-seed %d: %v", s, err)
		}
		if m != nil {
			steps, m = p.Minimise(steps, m, 1000)
			t.Fatalf("-seed %d -commands 1: replies differ\n%s\n%s", s, m, show(steps))
		}
	}
}

func TestSame(t *testing.T) {
	p := &Pair{Redis: harness.Redis(t), Mine: underTest(t)}
	if *every {
		all(t, p, *seed, *number)
		return
	}
	compare(t, p, *seed, *number)
}

// all reports every differing sequence, by the command that differs first.
func all(t *testing.T, p *Pair, first uint64, n int) {
	seen := map[string]int{}
	for s := first; n > 0; s++ {
		steps := Sequence(s)
		n -= len(steps)
		m, err := p.Run(steps)
		if err != nil {
			t.Errorf("-seed %d: %v", s, err)
			continue
		}
		if m == nil {
			continue
		}
		name := "raw, inspect or expire"
		if m.Step.Args != nil {
			name = strings.ToLower(string(m.Step.Args[0]))
		}
		if seen[name]++; seen[name] > 2 {
			continue
		}
		steps, m = p.Minimise(steps, m, 300)
		t.Errorf("-seed %d -commands 1: replies differ\n%s\n%s", s, m, show(steps))
	}
	t.Log(seen)
}

// A Redis differs from another in nothing: what the rules allow is enough.
func TestRedisIsLikeRedis(t *testing.T) {
	p := &Pair{Redis: harness.Redis(t), Mine: []string{harness.Redis(t)}}
	compare(t, p, *seed+1_000_000, 5_000)
}

// A server that is a little different is found out, and the sequence that
// shows it is cut down to what matters.
func TestDifferenceIsFound(t *testing.T) {
	for name, option := range map[string][]string{
		"databases": {"--databases", "15"},
		"encodings": {"--hash-max-listpack-entries", "0"},
		"names":     {"--rename-command", "GETDEL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Pair{Redis: harness.Redis(t), Mine: []string{harness.Redis(t, option...)}}
			for s := uint64(1); s < 200; s++ {
				steps := Sequence(s)
				m, err := p.Run(steps)
				if err != nil {
					t.Fatal(err)
				}
				if m == nil {
					continue
				}
				if steps, m = p.Minimise(steps, m, 1000); len(steps) > 3 {
					t.Errorf("not minimal: %s\n%s", m, show(steps))
				}
				return
			}
			t.Error("no difference found")
		})
	}
}

// Every command of the table is generated, or is left out for a reason.
func TestEveryCommandIsGenerated(t *testing.T) {
	seen := map[string]bool{}
	for s := range uint64(400) {
		for _, step := range Sequence(s) {
			if step.Args == nil {
				continue
			}
			if spec, failure := command.Resolve(step.Args); failure == nil {
				seen[spec.FullName] = true
			}
		}
	}
	var walk func(specs []*command.Spec)
	walk = func(specs []*command.Spec) {
		for _, spec := range specs {
			runs := spec.Local != nil || len(spec.Subcommands) == 0
			if runs && !seen[spec.FullName] && !commandtest.Left(spec) {
				t.Errorf("%s is never generated", spec.FullName)
			}
			walk(spec.Subcommands)
		}
	}
	walk(command.All())
}
