package process

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"synod/tests/harness"
)

// check stops the workload and compares its records with the stored data. addr
// is any proxy.
func (w *workload) check(addr string) {
	w.t.Helper()
	w.finish()
	values := w.final(addr)
	for _, err := range slices.Concat(w.checkRegisters(values), w.checkCounters(values), w.checkJournals(values)) {
		w.t.Error(err)
	}
}

// finish stops the workload and logs how it went.
func (w *workload) finish() {
	w.t.Helper()
	w.end()
	w.gaps.print(w.t)
	w.t.Logf("%d commands answered, %d refused, %d with unknown outcome, in %v",
		w.lost[done], w.lost[notDone], w.lost[unknown], time.Since(w.started).Round(time.Millisecond))
	if w.failure != nil {
		w.t.Error(w.failure)
	}
}

// final reads all keys, as one more client, and returns their values; "" means
// none.
func (w *workload) final(addr string) map[string]string {
	w.t.Helper()
	c := open(addr)
	defer func() { _ = c.Close() }()
	values := map[string]string{}
	get := func(key string) {
		w.t.Helper()
		var value string
		harness.Await(w.t, "the value of "+key, func() bool {
			got, err := c.Get(context.Background(), key).Result()
			value = got
			o, _ := classify(err)
			return o == done
		})
		values[key] = value
	}
	for key := range w.registers {
		e := event{client: -1, call: w.now()}
		get(key)
		e.got = values[key]
		w.record(key, e, done)
	}
	for key := range w.counters {
		get(key)
	}
	for _, j := range w.journals {
		get(j.key)
	}
	return values
}

// model is a register that is set and read.
var model = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		e := input.(event)
		if e.set != "" {
			return true, e.set
		}
		return output.(string) == state.(string), state
	},
	DescribeOperation: func(input, output any) string {
		if e := input.(event); e.set != "" {
			return "set " + e.set
		}
		return fmt.Sprintf("get: %q", output)
	},
}

// linearLimit limits the search for one key.
const linearLimit = 20 * time.Second

// checkRegisters returns the registers whose histories, including the final
// read, are not linearizable.
func (w *workload) checkRegisters(map[string]string) (problems []error) {
	for key, events := range w.registers {
		if !linearizable(events) {
			problems = append(problems, fmt.Errorf("%s is not linearizable:\n%s", key, describe(events)))
		}
	}
	return problems
}

func linearizable(events []event) bool {
	ops := make([]porcupine.Operation, len(events))
	for i, e := range events {
		ops[i] = porcupine.Operation{ClientId: e.client + 1, Input: e, Call: e.call, Output: e.got, Return: e.end}
		if e.unanswered {
			ops[i].Return = math.MaxInt64 // it may take effect at any time, or never
		}
	}
	// An unknown write that takes effect after everything else is equivalent to
	// one that never does. A search that takes too long counts as no fault.
	return porcupine.CheckOperationsTimeout(model, ops, linearLimit) != porcupine.Illegal
}

func describe(events []event) string {
	slices.SortFunc(events, func(a, b event) int { return int(a.call - b.call) })
	var b strings.Builder
	for _, e := range events {
		what := fmt.Sprintf("get: %q", e.got)
		if e.set != "" {
			what = "set " + e.set
		}
		if e.unanswered {
			what += " (unknown)"
		}
		fmt.Fprintf(&b, "  client %2d  %11.3f to %11.3f ms  %s\n", e.client, float64(e.call)/1e6, float64(e.end)/1e6, what)
	}
	return b.String()
}

// checkCounters returns the counters with wrong values: every acknowledged
// increment counts once, every unknown one at most once, and no result was
// returned twice.
func (w *workload) checkCounters(values map[string]string) (problems []error) {
	for key, c := range w.counters {
		problems = append(problems, c.check(key, values[key])...)
	}
	return problems
}

// check compares a counter with its value; "" means none.
func (c *counter) check(key, value string) (problems []error) {
	var n int
	if _, err := fmt.Sscanf("0"+value, "%d", &n); err != nil {
		problems = append(problems, fmt.Errorf("%s is %q", key, value))
	}
	if n < c.acked || n > c.acked+c.unknown {
		problems = append(problems, fmt.Errorf("%s stands at %d after %d acknowledged and %d unknown increments", key, n, c.acked, c.unknown))
	}
	for value, times := range c.handed {
		if times > 1 || value < 1 || value > int64(n) {
			problems = append(problems, fmt.Errorf("%s, now %d: the value %d was handed out %d times", key, n, value, times))
		}
	}
	return problems
}

// checkJournals returns the journals that differ from what their client wrote:
// every acknowledged entry once and in order, with unknown ones in between at
// most once.
func (w *workload) checkJournals(values map[string]string) (problems []error) {
	for _, j := range w.journals {
		rest := values[j.key]
		for _, e := range j.entries {
			if after, found := strings.CutPrefix(rest, e.text); found && e.outcome != notDone {
				rest = after
			} else if e.outcome == done {
				problems = append(problems, fmt.Errorf("%s lacks %q, or has it elsewhere: …%.60q", j.key, e.text, rest))
				break
			}
		}
		if rest != "" {
			problems = append(problems, fmt.Errorf("%s goes on with what its client never wrote there: %.60q", j.key, rest))
		}
	}
	return problems
}

// mustFind fails the test if a checker finds nothing wrong.
func mustFind(t *testing.T, what string, problems []error) {
	t.Helper()
	if len(problems) == 0 {
		t.Errorf("%s is not noticed", what)
	}
}
