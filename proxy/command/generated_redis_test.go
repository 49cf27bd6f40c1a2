package command_test

import (
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/command/commandtest"
)

var (
	generatedSteps = flag.Int("generated", 20_000, "how many generated commands to compare with redis-server")
	generatedSeed  = flag.Uint64("generated-seed", 1, "seed of the first generated sequence")
	generatedEvery = flag.Bool("generated-every", false, "go on after a difference and report one or two sequences per command")
)

// sequenceLength is the number of steps in a generated sequence.
const sequenceLength = 500

// machineServer replies with the table's functions, in one protocol version.
type machineServer struct {
	*command.Machine
	version int
}

func (s *machineServer) Send(args ...[]byte) ([]byte, error) {
	return s.Do(args...).AppendTo(nil, s.version), nil
}

// verdict collects a machine's failure reports: a report ends the run.
type verdict struct{ testing.TB }

type broken string

func (verdict) Fatalf(format string, args ...any) { panic(broken(fmt.Sprintf(format, args...))) }
func (verdict) Errorf(format string, args ...any) { panic(broken(fmt.Sprintf(format, args...))) }
func (verdict) Helper()                           {}

// trial runs sequences on a machine and on Redis, in both protocols.
type trial struct {
	t     *testing.T
	peers [2]command.RedisPeer
	good  map[string]int // replies other than errors, by command
	all   map[string]int
	large map[string]uint64 // the size of the largest value of each type
	empty int               // replies that are empty or say that nothing was done
}

// run runs a sequence and returns the step whose replies differ, and how.
func (r *trial) run(steps []commandtest.Step) (index int, what string) {
	m := command.NewMachine(verdict{r.t})
	if _, err := r.peers[0].Send([]byte("FLUSHALL")); err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case broken:
			what = string(p)
		default:
			what = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	for index = range steps {
		if what = r.step(m, &steps[index]); what != "" {
			return index, what
		}
	}
	for kind, size := range m.Largest() {
		r.large[kind] = max(r.large[kind], size)
	}
	return index, ""
}

func (r *trial) step(m *command.Machine, step *commandtest.Step) string {
	two, three := &machineServer{Machine: m, version: 2}, &machineServer{Machine: m, version: 3}
	if step.Expire != nil || step.Inspect != nil {
		for i, mine := range []*machineServer{two, three} {
			if what, err := step.Run(r.peers[i], mine); what != "" || err != nil {
				return fmt.Sprintf("RESP%d: %s %v", mine.version, what, err)
			}
		}
		return ""
	}
	args, err := step.Request(r.peers[0], two)
	if err != nil {
		r.t.Fatal(err)
	}
	reply := m.Do(args...)
	r.count(args, reply)
	for i, mine := range []*machineServer{two, three} {
		e := &commandtest.Exchange{Args: args, Have: reply.AppendTo(nil, mine.version), Redis: r.peers[i], Mine: mine}
		if e.Want, err = r.peers[i].Send(args...); err != nil {
			r.t.Fatal(err)
		}
		if what := commandtest.Compare(e); what != "" {
			return fmt.Sprintf("RESP%d: %s", mine.version, e.Difference(what))
		}
	}
	return ""
}

// nothings are replies that say that there is nothing.
var nothings = []string{":0\r\n", "_\r\n", "*0\r\n", "~0\r\n", "%0\r\n"}

func (r *trial) count(args [][]byte, reply *resp.Value) {
	spec, err := command.Resolve(args)
	if err != nil {
		return
	}
	r.all[spec.FullName]++
	if reply.IsError() {
		return
	}
	r.good[spec.FullName]++
	if b := reply.AppendTo(nil, 3); len(b) < 5 && slices.Contains(nothings, string(b)) {
		r.empty++
	}
}

// onData returns the commands that a machine runs.
func onData() []*command.Spec {
	return slices.DeleteFunc(slices.Clone(command.All()), func(s *command.Spec) bool {
		return s.Key == nil && s.Split == nil && !slices.ContainsFunc(s.Subcommands, func(sub *command.Spec) bool { return sub.Key != nil })
	})
}

// TestGeneratedSameAsRedis generates random commands from the table, runs them
// on the table's functions and on a real Redis, and compares each reply byte
// for byte, in both protocols.
func TestGeneratedSameAsRedis(t *testing.T) {
	two, three := command.StartRedis(t)
	r := &trial{t: t, peers: [2]command.RedisPeer{two, three}, good: map[string]int{}, all: map[string]int{}, large: map[string]uint64{}}
	seen := map[string]int{}
	n := 0
	for seed := *generatedSeed; n < *generatedSteps; seed++ {
		g := commandtest.New(seed, onData())
		steps := make([]commandtest.Step, sequenceLength)
		for i := range steps {
			steps[i] = g.Next()
		}
		n += len(steps)
		index, what := r.run(steps)
		if what == "" {
			continue
		}
		name := strings.ToLower(string(append(slices.Clone(steps[index].Args), []byte("inspect"))[0]))
		if seen[name]++; seen[name] <= 2 {
			t.Errorf("-generated-seed %d -generated 1: %s", seed, r.minimal(steps[:index+1], what))
		}
		if !*generatedEvery {
			return
		}
	}
	if n >= 10_000 { // fewer steps are not enough to check this
		r.checkCounts()
	}
}

// minimal shrinks a failing sequence and formats it.
func (r *trial) minimal(steps []commandtest.Step, what string) string {
	steps = commandtest.Minimise(steps, 500, func(fewer []commandtest.Step) (int, bool) {
		index, why := r.run(fewer)
		if why != "" {
			what = why
		}
		return index, why != ""
	})
	var b strings.Builder
	for i := range steps {
		fmt.Fprintf(&b, "    %s\n", &steps[i])
	}
	return what + "\nafter\n" + b.String()
}

// checkCounts checks that each command was generated and succeeded, and that
// most commands had an effect.
func (r *trial) checkCounts() {
	all, good := 0, 0
	for name, n := range r.all {
		all, good = all+n, good+r.good[name]
		if r.good[name] == 0 && n > 50 && name != "object|freq" {
			r.t.Errorf("%s: %d requests, all errors", name, n)
		}
	}
	const many = 130 // above the limits of compact values
	if len(r.large) != 6 || slices.Min(slices.Collect(maps.Values(r.large))) < many {
		r.t.Errorf("not all types of values were large: %v", r.large)
	}
	r.t.Logf("%d commands, %d not refused, %d found or changed something; largest: %v", all, good, good-r.empty, r.large)
	if good < all*2/3 || good-r.empty < all/2 {
		r.t.Error("too many commands come to nothing")
	}
}
