package bench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// plan says what to measure, and for how long.
type plan struct {
	loads  []load
	rounds int           // of all systems, one after the other
	slice  time.Duration // of one load on one system in one round
	// fill is how many writes of random keys come first, so that reads find
	// data and writes replace old values.
	fill int
	// profiles is a directory for CPU profiles of Synod's processes; "" for none.
	profiles string
}

// sample is one slice, or the median of several.
type sample struct {
	rate
	cpu   time.Duration   // of all the system's processes, per operation
	parts []time.Duration // of each
	grown metrics         // what the system counted meanwhile
}

// result has the samples by load and by system's name.
type result map[load]map[string]sample

// sliceLimit limits a slice that does not finish.
const sliceLimit = time.Minute

// measure runs the plan on the systems, in turns.
func measure(ctx context.Context, p plan, systems []system, progress io.Writer) (result, error) {
	for _, s := range systems {
		l := load{command: set, clients: 64, pipeline: 16}
		if !s.can(l) {
			continue // it has been filled
		}
		if _, err := s.drive(ctx, l, p.fill); err != nil {
			return nil, fmt.Errorf("fill %s: %w", s.name, err)
		}
	}
	results := make(result)
	for _, l := range p.loads {
		samples, err := p.turns(ctx, l, systems)
		if err != nil {
			return nil, err
		}
		results[l] = make(map[string]sample)
		line := fmt.Sprintf("%-28v", l)
		for name, of := range samples {
			results[l][name] = medians(of)
		}
		for _, s := range systems {
			if r, ok := results[l][s.name]; ok {
				line += fmt.Sprintf("  %s %.0f/s %.1fµs CPU", s.name, r.perSecond, micros(r.cpu))
			}
		}
		if _, err := fmt.Fprintln(progress, line); err != nil {
			return nil, fmt.Errorf("report progress: %w", err)
		}
	}
	return results, nil
}

// turns runs one load on each system in turns, as often as there are rounds.
func (p plan) turns(ctx context.Context, l load, systems []system) (map[string][]sample, error) {
	samples := make(map[string][]sample)
	speed := make(map[string]float64)
	for round := range p.rounds {
		for _, s := range systems {
			if !s.can(l) {
				continue
			}
			if round == 0 {
				warm, err := s.drive(ctx, l, l.clients*l.pipeline*10+100)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", s.name, err)
				}
				speed[s.name] = warm.perSecond
			}
			got, err := p.once(ctx, s, l, speed[s.name], round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			speed[s.name] = got.perSecond
			samples[s.name] = append(samples[s.name], got)
		}
	}
	return samples, nil
}

// once runs a load on a system for about one slice, at the speed expected.
func (p plan) once(ctx context.Context, s system, l load, speed float64, round int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, sliceLimit)
	defer cancel()
	operations := max(l.clients*l.pipeline, int(speed*p.slice.Seconds()))
	counted, err := scrape(ctx, s.admins)
	if err != nil {
		return sample{}, err
	}
	var used []time.Duration
	for _, process := range s.processes {
		before, err := cpu(process)
		if err != nil {
			return sample{}, err
		}
		used = append(used, before)
	}
	profiled := func() error { return nil }
	if p.profiles != "" && len(s.admins) > 1 {
		profiled = p.profile(ctx, s, l, round)
	}
	r, err := s.drive(ctx, l, operations)
	if err != nil {
		return sample{}, err
	}
	got := sample{rate: r}
	for i, process := range s.processes {
		after, err := cpu(process)
		if err != nil {
			return sample{}, err
		}
		got.parts = append(got.parts, (after-used[i])/time.Duration(operations))
		got.cpu += got.parts[i]
	}
	after, err := scrape(ctx, s.admins)
	if err != nil {
		return sample{}, err
	}
	got.grown = after.since(counted)
	return got, profiled()
}

// profile starts profiling the proxy and a node; the returned function waits
// for the profiles. `go tool pprof` can combine the files of several rounds.
func (p plan) profile(ctx context.Context, s system, l load, round int) (wait func() error) {
	var running sync.WaitGroup
	var problems [2]error
	for i, who := range []string{"proxy", "node"} {
		name := strings.NewReplacer(" ", "-", ",", "").Replace(l.String())
		running.Go(func() {
			problems[i] = profile(ctx, s.admins[i], p.slice, filepath.Join(p.profiles, fmt.Sprintf("%s.%s.%d.pprof", name, who, round)))
		})
	}
	return func() error {
		running.Wait()
		for _, err := range problems {
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// medians returns a sample with the median of each number, and the sums of the
// metrics.
func medians(of []sample) sample {
	var m sample
	m.perSecond = median(of, func(s sample) float64 { return s.perSecond })
	m.p50 = median(of, func(s sample) time.Duration { return s.p50 })
	m.p99 = median(of, func(s sample) time.Duration { return s.p99 })
	m.cpu = median(of, func(s sample) time.Duration { return s.cpu })
	m.grown = make(metrics)
	for _, s := range of {
		m.operations += s.operations
		for name, v := range s.grown {
			m.grown[name] += v
		}
	}
	for i := range of[0].parts {
		m.parts = append(m.parts, median(of, func(s sample) time.Duration { return s.parts[i] }))
	}
	return m
}

// median returns the middle one, the higher of two.
func median[T int | float64 | time.Duration](of []sample, what func(sample) T) T {
	all := make([]T, len(of))
	for i, s := range of {
		all[i] = what(s)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
