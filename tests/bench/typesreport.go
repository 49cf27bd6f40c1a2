package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// typesPlan says how to measure commands on collections.
type typesPlan struct {
	sizes   []int
	clients int // besides the runs of one client
	slice   time.Duration
	rounds  int
}

// typesSample is what one subject came to on one system at one size.
type typesSample struct {
	alone, many sample  // one client, several
	sent        float64 // bytes from the proxy to each replica per operation, one client
	received    float64 // and back, from all
}

// typesResult has the samples by subject, size and system.
type typesResult map[string]map[int]map[string]typesSample

const replicas = 3

// measureTypes fills collections and runs all subjects of their kind on them,
// system by system in turns.
func measureTypes(ctx context.Context, p typesPlan, systems []system, progress io.Writer) (typesResult, error) {
	found := make(typesResult)
	for _, kind := range []string{"hash", "set", "zset", "list", "stream"} {
		for _, size := range p.sizes {
			for _, s := range systems {
				if err := fillCollection(s.addr, kind, size); err != nil {
					return nil, fmt.Errorf("%s: %w", s.name, err)
				}
			}
			for _, sub := range subjects {
				if sub.kind != kind {
					continue
				}
				if found[sub.name] == nil {
					found[sub.name] = make(map[int]map[string]typesSample)
				}
				of := make(map[string]typesSample)
				for _, s := range systems {
					got, err := p.sample(ctx, s, sub, size)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", s.name, err)
					}
					of[s.name] = got
				}
				found[sub.name][size] = of
				r, y := of[nameRedis], of[nameSynod]
				if _, err := fmt.Fprintf(progress, "%-22s %9d  Redis %.0f/s  Synod %.0f/s, %.0f bytes to each replica\n",
					sub.name, size, r.many.perSecond, y.many.perSecond, y.sent); err != nil {
					return nil, fmt.Errorf("report progress: %w", err)
				}
			}
		}
	}
	return found, nil
}

// sample measures a subject on a system with one client and with several.
func (p typesPlan) sample(ctx context.Context, s system, sub subject, size int) (typesSample, error) {
	var out typesSample
	var alone, many []sample
	for range p.rounds {
		for clients, to := range map[int]*[]sample{1: &alone, p.clients: &many} {
			got, err := p.once(ctx, s, sub, size, clients)
			if err != nil {
				return out, err
			}
			*to = append(*to, got)
		}
	}
	out.alone, out.many = medians(alone), medians(many)
	n := float64(out.alone.operations)
	out.sent = ratio(out.alone.grown[`synod_node_bytes_total{direction="sent"}`], n*replicas)
	out.received = ratio(out.alone.grown[`synod_node_bytes_total{direction="received"}`], n)
	return out, nil
}

func (p typesPlan) once(ctx context.Context, s system, sub subject, size, clients int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, sliceLimit)
	defer cancel()
	if _, err := sub.drive(ctx, s.addr, size, clients, p.slice/10); err != nil { // warm up
		return sample{}, err
	}
	counted, err := scrape(ctx, s.admins)
	if err != nil {
		return sample{}, err
	}
	before, err := cpuOf(s)
	if err != nil {
		return sample{}, err
	}
	r, err := sub.drive(ctx, s.addr, size, clients, p.slice)
	if err != nil {
		return sample{}, err
	}
	used, err := cpuOf(s)
	if err != nil {
		return sample{}, err
	}
	after, err := scrape(ctx, s.admins)
	if err != nil {
		return sample{}, err
	}
	return sample{rate: r, cpu: (used - before) / time.Duration(r.operations), grown: after.since(counted)}, nil
}

// cpuOf adds up the processor time of a system's processes.
func cpuOf(s system) (sum time.Duration, err error) {
	for _, p := range s.processes {
		used, err := cpu(p)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// types writes the results: a table for each number of elements, and how the
// cost grows with it.
func (r *report) types(p typesPlan, found typesResult) {
	for _, size := range p.sizes {
		r.line("\nOne key of %d elements:", size)
		r.table("", "Redis, op/s", "Synod, op/s", "to Redis", fmt.Sprintf("Redis, %d clients", p.clients),
			fmt.Sprintf("Synod, %d clients", p.clients), "to Redis", "Synod, CPU µs", "bytes to each replica", "bytes back")
		for _, sub := range subjects {
			of := found[sub.name][size]
			re, sy := of[nameRedis], of[nameSynod]
			r.row(sub.name, whole(re.alone.perSecond), whole(sy.alone.perSecond), times(speed, sy.alone, re.alone),
				whole(re.many.perSecond), whole(sy.many.perSecond), times(speed, sy.many, re.many),
				fmt.Sprintf("%.0f", micros(sy.alone.cpu)), whole(sy.sent), whole(sy.received))
		}
	}
	if len(p.sizes) < 2 {
		return
	}
	first, last := p.sizes[len(p.sizes)-2], slices.Max(p.sizes)
	r.line("\nWhat a command takes at %d elements, as a multiple of what it takes at %d (goal: at most 2):", last, first)
	r.table("", "Redis, time", "Synod, time", fmt.Sprintf("Synod, time, %d clients", p.clients), "Synod, CPU", "Synod, bytes to each replica")
	for _, sub := range subjects {
		small, large := found[sub.name][first], found[sub.name][last]
		r.row(sub.name, times(speed, small[nameRedis].alone, large[nameRedis].alone),
			times(speed, small[nameSynod].alone, large[nameSynod].alone), times(speed, small[nameSynod].many, large[nameSynod].many),
			times(cost, large[nameSynod].alone, small[nameSynod].alone),
			fmt.Sprintf("%.1f", ratio(large[nameSynod].sent, small[nameSynod].sent)))
	}
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }
