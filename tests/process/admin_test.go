package process

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"synod/tests/harness"
)

// The admin ports respond, export metrics, and report readiness correctly.
func TestAdminPorts(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	w.check(c.Proxies[0].Addr)
	for _, test := range []struct {
		admin, path string
		says        []string
	}{
		{c.Nodes[0].Admin, "/healthz", nil},
		{c.Nodes[0].Admin, "/readyz", nil},
		{c.Nodes[0].Admin, "/metrics", []string{"synod_", "go_goroutines"}},
		{c.Nodes[0].Admin, "/debug/pprof/goroutine?debug=1", []string{"goroutine profile"}},
		{c.Proxies[0].Admin, "/healthz", nil},
		{c.Proxies[0].Admin, "/readyz", nil},
		{c.Proxies[0].Admin, "/metrics", []string{`synod_rounds_total{kind="blind"}`, `kind="two_trip"`, `kind="carried"`, `kind="read"`, `kind="repair"`, `kind="in_doubt"`}},
		{c.Proxies[0].Admin, "/debug/pprof/goroutine?debug=1", []string{"goroutine profile"}},
	} {
		code, body := get(t, "http://"+test.admin+test.path)
		if code != http.StatusOK {
			t.Errorf("%s: status %d, %.200s", test.path, code, body)
		}
		for _, want := range test.says {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q:\n%.2000s", test.path, want, body)
			}
		}
	}
	c.Nodes[0].Kill()
	c.Nodes[1].Kill()
	harness.Await(t, "the proxy to be unready", func() bool {
		code, _ := get(t, "http://"+c.Proxies[0].Admin+"/readyz")
		return code == http.StatusServiceUnavailable
	})
	if code, _ := get(t, "http://"+c.Proxies[0].Admin+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: status %d; the proxy itself is well", code)
	}
	c.Nodes[0].Start()
	c.Proxies[0].AwaitReady(t)
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}
