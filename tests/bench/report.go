package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// goal is one of the ratios that Synod is to reach.
type goal struct {
	load    load
	base    string // the system that it is compared with
	what    string
	atLeast bool
	limit   float64
	number  func(s sample) float64
}

func speed(s sample) float64     { return s.perSecond }
func cost(s sample) float64      { return float64(s.cpu) }
func middle(s sample) float64    { return float64(s.p50) }
func piped(c command) load       { return load{command: c, clients: 64, pipeline: 16} }
func plain(c command) load       { return load{command: c, clients: 64, pipeline: 1} }
func single(c command) load      { return load{command: c, clients: 1, pipeline: 1} }
func (l load) unpipelined() load { l.pipeline = 1; return l }

var goals = []goal{
	{plain(set), nameEtcd, "operations per second", true, 8, speed},
	{plain(set), nameRedis, "CPU per operation", false, 3, cost},
	{piped(set), nameEtcd, "operations per second", true, 25, speed},
	{piped(set), nameRedis, "CPU per operation", false, 3.5, cost},
	{plain(get), nameRedis, "CPU per operation", false, 2.5, cost},
	{piped(get), nameRedis, "CPU per operation", false, 4, cost},
	{single(set), nameRedis, "p50", false, 2.5, middle},
	{single(get), nameRedis, "p50", false, 4, middle},
}

// report writes the results as Markdown.
type report struct {
	out io.Writer
	err error
}

func (r *report) line(format string, args ...any) {
	if r.err == nil {
		_, r.err = fmt.Fprintf(r.out, format+"\n", args...)
	}
}

// table begins a table.
func (r *report) table(columns ...string) {
	r.line("\n| %s |\n|---%s|", strings.Join(columns, " | "), strings.Repeat("|---:", len(columns)-1))
}

func (r *report) row(cells ...string) { r.line("| %s |", strings.Join(cells, " | ")) }

// comparison writes what the three systems did.
func (r *report) comparison(p plan, found result) {
	r.line("\nGoals, as ratios of Synod to the other within this run:")
	r.table("", "of", "goal", "reached", "")
	for _, g := range goals {
		r.goal(g, found)
	}
	r.line("\nOperations per second (etcd knows no pipelines: `-P 16` is compared with as many clients that send one request at a time):")
	r.table("", nameRedis, nameEtcd, nameSynod, "to Redis", "to etcd")
	for _, l := range p.loads {
		r.compare(l, found, speed, func(v float64) string { return fmt.Sprintf("%.0f", v) })
	}
	r.line("\nCPU seconds per million operations, all server processes together:")
	r.table("", nameRedis, nameEtcd, nameSynod, "to Redis", "to etcd")
	for _, l := range p.loads {
		r.compare(l, found, cost, func(v float64) string { return fmt.Sprintf("%.1f", micros(time.Duration(v))) })
	}
	r.line("\nLatency, p50 / p99 in ms:")
	r.table("", nameRedis, nameEtcd, nameSynod, "p50 to Redis")
	for _, l := range p.loads {
		of := found[l]
		r.row(l.String(), latency(of, nameRedis), latency(of, nameEtcd), latency(of, nameSynod), times(middle, of[nameSynod], of[nameRedis]))
	}
	r.line("\nInside Synod: CPU time (µs per operation), how many commands shared a round and entries a sync, and how many rounds took one trip (`carried`: under a piggybacked prepare):")
	r.table("", "proxy", "three nodes", "etcd", "commands per round", "one-trip rounds", "read / blind / carried / two-trip / repair / in doubt", "requests per node's batch", "entries per sync", "found in memory")
	for _, l := range p.loads {
		if s, ok := found[l][nameSynod]; ok {
			r.inside(l, s)
		}
	}
}

func (r *report) goal(g goal, found result) {
	ours, ok := found[g.load][nameSynod]
	base, known := found[g.load][g.base]
	if !known {
		base, known = found[g.load.unpipelined()][g.base]
	}
	if !ok || !known {
		return
	}
	reached := ratio(g.number(ours), g.number(base))
	sign, met := "≤", reached <= g.limit
	if g.atLeast {
		sign, met = "≥", reached >= g.limit
	}
	verdict := "no"
	if met {
		verdict = "yes"
	}
	r.row(fmt.Sprintf("%v: %s", g.load, g.what), g.base, fmt.Sprintf("%s %.3g", sign, g.limit), fmt.Sprintf("%.2f", reached), verdict)
}

// compare writes a row with a number of each system, and Synod's ratios.
func (r *report) compare(l load, found result, number func(sample) float64, text func(float64) string) {
	of := found[l]
	cell := func(name string) string {
		if s, ok := of[name]; ok {
			return text(number(s))
		}
		return ""
	}
	etcd, ok := of[nameEtcd]
	if !ok && !l.oneKey {
		etcd = found[l.unpipelined()][nameEtcd]
	}
	r.row(l.String(), cell(nameRedis), cell(nameEtcd), cell(nameSynod), times(number, of[nameSynod], of[nameRedis]), times(number, of[nameSynod], etcd))
}

func times(number func(sample) float64, a, b sample) string {
	if number(a) == 0 || number(b) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f×", number(a)/number(b))
}

func latency(of map[string]sample, name string) string {
	s, ok := of[name]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f / %.2f", micros(s.p50)/1000, micros(s.p99)/1000)
}

var roundKinds = []string{"read", "blind", "carried", "two_trip", "repair", "in_doubt"}

// oneTrip are the rounds that cost one trip.
const oneTrip = 3

func (r *report) inside(l load, s sample) {
	var nodes time.Duration
	for _, d := range s.parts[1 : len(s.parts)-1] {
		nodes += d
	}
	hits := s.grown["synod_node_cache_hits_total"]
	var kinds []string
	var short, all float64
	for i, k := range roundKinds {
		n := s.grown[fmt.Sprintf("synod_rounds_total{kind=%q}", k)]
		kinds = append(kinds, fmt.Sprintf("%.0f", n))
		if i <= oneTrip {
			all += n
		}
		if i < oneTrip {
			short += n
		}
	}
	r.row(l.String(),
		fmt.Sprintf("%.1f", micros(s.parts[0])), fmt.Sprintf("%.1f", micros(nodes)), fmt.Sprintf("%.1f", micros(s.parts[len(s.parts)-1])),
		fmt.Sprintf("%.2f", s.grown.mean("synod_round_commands")),
		fmt.Sprintf("%.2f %%", 100*ratio(short, all)), strings.Join(kinds, " / "),
		fmt.Sprintf("%.1f", s.grown.mean("synod_node_batch_requests")),
		fmt.Sprintf("%.1f", s.grown.mean("synod_node_sync_entries")),
		fmt.Sprintf("%.1f %%", 100*ratio(hits, hits+s.grown["synod_node_cache_misses_total"])))
}

// scaling writes what a second core brought.
func (r *report) scaling(p plan, found result) {
	r.line("\nThe whole cluster in one process (`synod`), with GOMAXPROCS 1 and 2; the load generator runs beside it:")
	r.table("", "1: operations per second", "2: operations per second", "ratio", "1: CPU s per million", "2: CPU s per million")
	for _, l := range p.loads {
		one, two := found[l]["1"], found[l]["2"]
		r.row(l.String(), fmt.Sprintf("%.0f", one.perSecond), fmt.Sprintf("%.0f", two.perSecond), times(speed, two, one),
			fmt.Sprintf("%.1f", micros(one.cpu)), fmt.Sprintf("%.1f", micros(two.cpu)))
	}
}

// mean returns the mean of a histogram's observations.
func (m metrics) mean(name string) float64 { return ratio(m[name+"_sum"], m[name+"_count"]) }
