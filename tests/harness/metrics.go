package harness

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Metric returns the value of one of the member's time series, named as
// /metrics does, with its labels. One that does not exist (yet) is 0.
func (m *Member) Metric(t testing.TB, series string) float64 {
	t.Helper()
	page, err := fetch("http://" + m.Admin + "/metrics")
	if err != nil {
		t.Fatalf("metrics of %s: %v", m.ID, err)
	}
	for line := range strings.Lines(page) {
		value, found := strings.CutPrefix(line, series+" ")
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			t.Fatalf("metrics of %s: %v in %q", m.ID, err, line)
		}
		return v
	}
	return 0
}

// Total is the sum of a time series over members.
func Total(t testing.TB, members []*Member, series string) (sum float64) {
	t.Helper()
	for _, m := range members {
		sum += m.Metric(t, series)
	}
	return sum
}

// fetch returns what the URL answers with, if the status is 200.
func fetch(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", answer.StatusCode)
	}
	return string(body), err
}

// Collect has the member collect its garbage.
func (m *Member) Collect(t testing.TB) {
	t.Helper()
	if _, err := fetch("http://" + m.Admin + "/debug/pprof/heap?gc=1"); err != nil {
		t.Fatalf("heap of %s: %v", m.ID, err)
	}
}
