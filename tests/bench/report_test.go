package bench

import (
	"strings"
	"testing"
	"time"
)

func TestParseCSV(t *testing.T) {
	const header = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"
	r, err := parseCSV(header + `"SET","152671.77","0.265","0.064","0.199","0.415","0.599","12.919"` + "\n")
	if err != nil || r.perSecond != 152671.77 || r.p50 != 199*time.Microsecond || r.p99 != 599*time.Microsecond {
		t.Errorf("%+v, %v", r, err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no result":       header,
		"a broken number": header + `"SET","many","0.265","0.064","0.199","0.415","0.599","12.919"` + "\n",
		"other columns":   "\"test\",\"rps\"\n\"SET\",\"1\"\n",
	} {
		if r, err := parseCSV(text); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}

func TestParseStat(t *testing.T) {
	const stat = `12 (a) b (c) S 1 12 12 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0`
	if used, err := parseStat([]byte(stat)); err != nil || used != 1270*time.Millisecond {
		t.Errorf("%v, %v", used, err)
	}
	if used, err := parseStat([]byte("12 (x) S 1 2")); err == nil {
		t.Errorf("a short line is read as %v", used)
	}
}

func TestMetrics(t *testing.T) {
	const text = "# HELP x_total What x is.\nx_total{kind=\"a b\"} 3\nh_sum 10\nh_count 4\n"
	before, after := make(metrics), make(metrics)
	for range 2 { // two processes
		if err := after.add(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := before.add(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	grown := after.since(before)
	if grown[`x_total{kind="a b"}`] != 3 || grown.mean("h") != 2.5 || grown.mean("absent") != 0 {
		t.Errorf("%v", grown)
	}
	if err := before.add(strings.NewReader("x_total lots\n")); err == nil {
		t.Error("no error for a sample that is no number")
	}
}

func TestMedians(t *testing.T) {
	of := []sample{
		{rate: rate{perSecond: 30, operations: 1}, cpu: 5, parts: []time.Duration{5}, grown: metrics{"a": 1}},
		{rate: rate{perSecond: 10, operations: 2}, cpu: 7, parts: []time.Duration{7}, grown: metrics{"a": 2}},
		{rate: rate{perSecond: 20, operations: 3}, cpu: 6, parts: []time.Duration{6}, grown: metrics{"a": 3}},
	}
	m := medians(of)
	if m.perSecond != 20 || m.cpu != 6 || m.parts[0] != 6 || m.operations != 6 || m.grown["a"] != 6 {
		t.Errorf("%+v", m)
	}
}

// TestGoals checks that a goal is judged by the right numbers, and that etcd's
// rate without pipelines stands in where it has none with them.
func TestGoals(t *testing.T) {
	fast := sample{rate: rate{perSecond: 1000}, cpu: 10}
	slow := sample{rate: rate{perSecond: 100}, cpu: 40}
	found := result{
		plain(set): {nameSynod: fast, nameEtcd: slow, nameRedis: slow},
		piped(set): {nameSynod: fast, nameRedis: slow},
	}
	for _, c := range []struct {
		goal goal
		want string
	}{
		{goal{plain(set), nameEtcd, "rate", true, 8, speed}, "| ≥ 8 | 10.00 | yes |"},
		{goal{plain(set), nameEtcd, "rate", true, 12, speed}, "| ≥ 12 | 10.00 | no |"},
		{goal{piped(set), nameEtcd, "rate", true, 8, speed}, "| ≥ 8 | 10.00 | yes |"},
		{goal{plain(set), nameRedis, "CPU", false, 0.3, cost}, "| ≤ 0.3 | 0.25 | yes |"},
		{goal{plain(set), nameRedis, "CPU", false, 0.2, cost}, "| ≤ 0.2 | 0.25 | no |"},
		{goal{plain(get), nameRedis, "CPU", false, 0.2, cost}, ""},
	} {
		var text strings.Builder
		r := report{out: &text}
		r.goal(c.goal, found)
		if !strings.Contains(text.String(), c.want) || c.want == "" && text.Len() > 0 {
			t.Errorf("%+v: %q, want %q", c.goal.load, text.String(), c.want)
		}
	}
}

// TestMeasureOthers measures the two databases that Synod is compared with.
func TestMeasureOthers(t *testing.T) {
	p := plan{loads: []load{plain(set), single(get), piped(get)}, rounds: 1, slice: 50 * time.Millisecond, fill: 1000}
	found, err := measure(t.Context(), p, []system{startRedis(t), startEtcd(t, t.Context())}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range p.loads {
		for _, name := range []string{nameRedis, nameEtcd} {
			s, ok := found[l][name]
			if name == nameEtcd && l.pipeline > 1 {
				if ok {
					t.Errorf("etcd has pipelines")
				}
				continue
			}
			if !ok || s.perSecond <= 0 || s.p50 <= 0 || s.p99 < s.p50 || s.operations < l.clients {
				t.Errorf("%v, %s: %+v", l, name, s)
			}
		}
	}
}
