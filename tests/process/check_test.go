package process

import (
	"testing"

	"synod/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// The checkers find exactly the faults that they are meant to find.
func TestCheckers(t *testing.T) {
	var w workload
	set := func(call, end int64, v string) event { return event{call: call, end: end, set: v} }
	get := func(call, end int64, v string) event { return event{call: call, end: end, got: v} }
	lost := set(0, 10, "b")
	lost.unanswered = true
	for name, c := range map[string]struct {
		fine   bool
		events []event
	}{
		"in order":             {true, []event{set(0, 1, "a"), get(2, 3, "a"), set(4, 5, "b"), get(6, 7, "b")}},
		"at the same time":     {true, []event{set(0, 10, "a"), set(0, 10, "b"), get(11, 12, "a")}},
		"unknown, effect":      {true, []event{set(0, 1, "a"), lost, get(20, 21, "a"), get(22, 23, "b")}},
		"unknown, none":        {true, []event{set(0, 1, "a"), lost, get(20, 21, "a"), get(22, 23, "a")}},
		"a lost write":         {false, []event{set(0, 1, "a"), get(2, 3, "")}},
		"a stale read":         {false, []event{set(0, 1, "a"), set(2, 3, "b"), get(4, 5, "a")}},
		"a write came back":    {false, []event{set(0, 1, "a"), set(2, 3, "b"), get(4, 5, "b"), get(6, 7, "a")}},
		"effect twice":         {false, []event{set(0, 1, "a"), lost, get(20, 21, "b"), set(22, 23, "c"), get(24, 25, "b")}},
		"before its beginning": {false, []event{get(0, 1, "a"), set(2, 3, "a")}},
	} {
		if linearizable(c.events) != c.fine {
			t.Errorf("%s: linearizable is %v", name, !c.fine)
		}
	}

	counted := func(acked, unknown int, handed ...int64) {
		c := &counter{acked: acked, unknown: unknown, handed: map[int64]int{}}
		for _, n := range handed {
			c.handed[n]++
		}
		w.counters = map[string]*counter{"n": c}
	}
	at := func(v string) map[string]string { return map[string]string{"n": v, "j": v} }
	counted(2, 1, 1, 3)
	for _, v := range []string{"2", "3"} {
		if p := w.checkCounters(at(v)); v == "3" && p != nil {
			t.Error(p)
		}
	}
	mustFind(t, "a lost increment", w.checkCounters(at("1")))
	mustFind(t, "an increment too many", w.checkCounters(at("4")))
	mustFind(t, "a value above the counter", w.checkCounters(at("2")))
	counted(2, 0, 2, 2)
	mustFind(t, "a value handed out twice", w.checkCounters(at("2")))

	w.journals = []*journal{{key: "j", entries: []entry{{"1;", done}, {"2;", unknown}, {"3;", notDone}, {"4;", done}}}}
	for _, v := range []string{"1;4;", "1;2;4;"} {
		if p := w.checkJournals(at(v)); p != nil {
			t.Error(v, p)
		}
	}
	for _, v := range []string{"1;", "4;", "1;3;4;", "1;2;2;4;", "1;4;4;", "4;1;", "1;4;2;", ""} {
		mustFind(t, v, w.checkJournals(at(v)))
	}
}

// The workload finds no fault in a correct server, and its record is not empty.
func TestWorkloadOnRedis(t *testing.T) {
	addr := harness.Redis(t)
	w := run(t, 4, addr)
	w.progress(500)
	w.progress(500)
	w.check(addr)
	if len(w.registers) < registersPerRound || w.lost[done] < 1000 || w.lost[unknown]+w.lost[notDone] > 0 {
		t.Errorf("%d registers, outcomes %v", len(w.registers), w.lost)
	}
	// A value that goes back to an older one is detected on a live record.
	key := func() string {
		for k := range w.counters {
			return k
		}
		return ""
	}()
	c := open(addr)
	defer func() { _ = c.Close() }()
	if err := c.Decr(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetRange(t.Context(), w.journals[0].key, 0, "x").Err(); err != nil {
		t.Fatal(err)
	}
	values := w.final(addr)
	mustFind(t, "a counter that went back", w.checkCounters(values))
	mustFind(t, "a journal that was written to", w.checkJournals(values))
}
