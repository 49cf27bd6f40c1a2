package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// metrics are samples by name with labels, as they are written in /metrics,
// summed over processes.
type metrics map[string]float64

// scrape reads the /metrics of the admin addresses.
func scrape(ctx context.Context, admins []string) (metrics, error) {
	sum := make(metrics)
	for _, addr := range admins {
		body, err := fetch(ctx, "http://"+addr+"/metrics")
		if err != nil {
			return nil, err
		}
		err = sum.add(body)
		_ = body.Close()
		if err != nil {
			return nil, fmt.Errorf("metrics of %s: %w", addr, err)
		}
	}
	return sum, nil
}

func (m metrics) add(text io.Reader) error {
	in := bufio.NewScanner(text)
	for in.Scan() {
		line := in.Text()
		name, value, ok := cutLast(line, ' ')
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("sample %q: %w", line, err)
		}
		m[name] += v
	}
	return in.Err()
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// since returns how much the samples grew.
func (m metrics) since(before metrics) metrics {
	grown := make(metrics, len(m))
	for name, v := range m {
		grown[name] = v - before[name]
	}
	return grown
}

// ratio divides two sums, 0 if there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func fetch(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("get %s: %s", url, answer.Status)
	}
	return answer.Body, nil
}

// profile writes a process's CPU profile of the time to a file.
func profile(ctx context.Context, admin string, length time.Duration, name string) (err error) {
	seconds := max(1, int(length.Seconds()))
	body, err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, seconds))
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("directory for profiles: %w", err)
	}
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("create a profile: %w", err)
	}
	_, err = io.Copy(file, body)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
