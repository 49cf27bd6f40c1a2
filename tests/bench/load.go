package bench

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	valueBytes = 64
	keySpace   = 100_000
)

// command is what clients ask for.
type command string

const (
	set command = "SET"
	get command = "GET"
)

// load says what the clients do.
type load struct {
	command  command
	clients  int
	pipeline int
	oneKey   bool
}

func (l load) String() string {
	s := fmt.Sprintf("%s, %d clients", l.command, l.clients)
	if l.clients == 1 {
		s = fmt.Sprintf("%s, 1 client", l.command)
	}
	if l.pipeline > 1 {
		s += fmt.Sprintf(", -P %d", l.pipeline)
	}
	if l.oneKey {
		s += ", one key"
	}
	return s
}

// rate is what a load generator found.
type rate struct {
	operations int
	perSecond  float64
	p50, p99   time.Duration
}

// generator drives a system with a number of operations.
type generator func(ctx context.Context, l load, operations int) (rate, error)

// redisBenchmark returns a generator that runs redis-benchmark.
func redisBenchmark(addr string) generator {
	host, port, _ := strings.Cut(addr, ":")
	return func(ctx context.Context, l load, operations int) (rate, error) {
		args := []string{
			"-h", host, "-p", port, "--csv", "-t", strings.ToLower(string(l.command)), "-d", strconv.Itoa(valueBytes),
			"-c", strconv.Itoa(l.clients), "-P", strconv.Itoa(l.pipeline), "-n", strconv.Itoa(operations),
		}
		if !l.oneKey {
			args = append(args, "-r", strconv.Itoa(keySpace))
		}
		cmd := exec.CommandContext(ctx, "redis-benchmark", args...)
		var out, problems bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &problems
		if err := cmd.Run(); err != nil {
			return rate{}, fmt.Errorf("redis-benchmark, %v: %w: %s%s", l, err, out.Bytes(), problems.Bytes())
		}
		r, err := parseCSV(out.String())
		if err != nil {
			return rate{}, fmt.Errorf("redis-benchmark, %v: %w: %s", l, err, out.Bytes())
		}
		r.operations = operations
		return r, nil
	}
}

// parseCSV reads what redis-benchmark --csv prints for one test.
func parseCSV(text string) (rate, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return rate{}, fmt.Errorf("read its table: %w", err)
	}
	if len(rows) != 2 {
		return rate{}, fmt.Errorf("a table of %d rows, not 2", len(rows))
	}
	numbers := make(map[string]float64)
	for i, name := range rows[0] {
		if i == 0 {
			continue // the test's name
		}
		if numbers[name], err = strconv.ParseFloat(rows[1][i], 64); err != nil {
			return rate{}, fmt.Errorf("column %s: %w", name, err)
		}
	}
	for _, name := range []string{"rps", "p50_latency_ms", "p99_latency_ms"} {
		if numbers[name] <= 0 {
			return rate{}, fmt.Errorf("no column %s", name)
		}
	}
	return rate{
		perSecond: numbers["rps"],
		p50:       milliseconds(numbers["p50_latency_ms"]),
		p99:       milliseconds(numbers["p99_latency_ms"]),
	}, nil
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
