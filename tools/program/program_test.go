package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"
)

type testFlags struct {
	Common
	Cluster
	Logging
	CacheSize Size          `help:"Memory for the cache." default:"256MiB"`
	Timeout   time.Duration `help:"A time." default:"5s"`
	Lanes     int           `help:"A number."`
	Fast      bool          `help:"A switch."`
}

// start runs a program of testFlags that prints its flags.
func start(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var flags testFlags
	p := Program{Name: "synod-test", Help: "A program.\n\nExamples:\n\n    synod-test --lanes 2", Flags: &flags,
		Run: func(_ context.Context, out io.Writer, _ *kong.Context) error {
			if flags.Lanes == 13 {
				return errors.New("thirteen\nlanes")
			}
			_, err := fmt.Fprintln(out, flags.Etcd, flags.Cluster.Cluster, flags.CacheSize, flags.Timeout, flags.Lanes, flags.Fast, flags.LogLevel)
			return err
		}}
	var out, errs bytes.Buffer
	status = p.Exec(args, &out, &errs)
	return status, out.String(), errs.String()
}

func config(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "synod.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrecedence(t *testing.T) {
	check := func(want string, args ...string) {
		t.Helper()
		status, out, errs := start(t, args...)
		if status != 0 || out != want+"\n" || errs != "" {
			t.Errorf("%v: status %d, %q, %q; want %q", args, status, out, errs, want)
		}
	}
	check("[http://127.0.0.1:2379] main 268435456 5s 0 false info")
	name := config(t, `
# a comment
etcd: [http://a:1, "http://b:2"]
cluster: prod
cache-size: 1GiB
timeout: 7s
lanes: 3
fast: true
`)
	check("[http://a:1 http://b:2] prod 1073741824 7s 3 true info", "--config", name)
	t.Setenv("SYNOD_LANES", "4")
	t.Setenv("SYNOD_LOG_LEVEL", "debug")
	t.Setenv("SYNOD_VERSION", "of the image, not a flag")
	check("[http://a:1 http://b:2] prod 1073741824 7s 4 true debug", "--config", name)
	check("[http://c:3] prod 1073741824 7s 5 true debug", "--config="+name, "--lanes=5", "--etcd=http://c:3")
	t.Setenv("SYNOD_CONFIG", name)
	t.Setenv("SYNOD_ETCD", "http://d:4,http://e:5")
	check("[http://d:4 http://e:5] prod 1073741824 7s 4 true debug")
	check("[http://d:4 http://e:5] main 268435456 5s 4 false debug", "--config", config(t, ""))
}

func TestErrorsAreOneLine(t *testing.T) {
	for say, args := range map[string][]string{
		"synod-test: thirteen lanes": {"--lanes=13"},
		"unknown flag --lance":       {"--lance=1"},
		"unexpected argument":        {"status"},
		"no size":                    {"--cache-size=lots"},
		"--timeout":                  {"--timeout=5"},
		"must be one of":             {"--log-format=xml"},
		"no such file or directory":  {"--config", filepath.Join(t.TempDir(), "none.yaml")},
		`:2: unknown key "lance"; known are cache-size, cluster, cluster-secret-file, etcd, fast, lanes, log-format, log-level, timeout`: {"--config", config(t, "lanes: 1\nlance: 2\n")},
		`:2: key "lanes" stands in line 1 already`:    {"--config", config(t, "lanes: 1\nlanes: 2\n")},
		`:1: key "lanes" has no value`:                {"--config", config(t, "lanes:\n")},
		`:1: key "lanes": expected a value or a list`: {"--config", config(t, "lanes:\n  a: 1\n")},
		"expected lines like `flag: value`":           {"--config", config(t, "- lanes\n")},
		"yaml":                                        {"--config", config(t, "lanes: [\n")},
		"expected a valid 64 bit int":                 {"--config", config(t, "lanes: many\n")},
	} {
		status, out, errs := start(t, args...)
		if status != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "synod-test: ") || !strings.Contains(errs, say) {
			t.Errorf("%v: status %d, %q, %q; want %q", args, status, out, errs, say)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	status, out, errs := start(t, "--help")
	for _, want := range []string{"Usage: synod-test", "    synod-test --lanes 2", "$SYNOD_CACHE_SIZE", "default 256MiB", "$SYNOD_ETCD", "--config=FILE"} {
		if !strings.Contains(out, want) {
			t.Errorf("help lacks %q:\n%s", want, out)
		}
	}
	if status != 0 || errs != "" {
		t.Errorf("status %d, %q", status, errs)
	}
	status, out, errs = start(t, "--version")
	if status != 0 || errs != "" || !strings.HasPrefix(out, "synod-test devel (commit ") || !strings.Contains(out, "go1.") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "17": 17, "1b": 1, "1k": 1000, "1kb": 1024, "1KiB": 1024, "64MB": 64 << 20, "256 MiB": 256 << 20,
		"1g": 1e9, "2gb": 2 << 30, "1TiB": 1 << 40, "-": -1, "": -1, "-1": -1, "1.5G": -1, "x": -1, "1 0": -1, "1bb": -1, "99999999tb": -1,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); want < 0 != (err != nil) || err == nil && s != want {
			t.Errorf("%q: %d, %v", text, s, err)
		}
	}
}

func TestLogging(t *testing.T) {
	var out bytes.Buffer
	log, err := Logging{LogFormat: "json", LogLevel: "warn"}.Open(&out)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", zap.Duration("took", time.Second))
	if s := out.String(); strings.Contains(s, "quiet") || !strings.Contains(s, `"msg":"loud","took":"1s"`) {
		t.Error(s)
	}
	out.Reset()
	if log, err = (Logging{LogFormat: "console", LogLevel: "info"}).Open(&out); err != nil {
		t.Fatal(err)
	}
	log.Info("hello", zap.String("node", "n1"))
	if s := out.String(); !strings.HasSuffix(s, "  INFO  hello  {\"node\": \"n1\"}\n") {
		t.Error(s)
	}
}

type fakeDaemon struct {
	name   string
	err    chan error
	closed *[]string
	fail   error
}

func (d *fakeDaemon) Err() <-chan error { return d.err }
func (d *fakeDaemon) Close(context.Context) error {
	*d.closed = append(*d.closed, d.name)
	return d.fail
}

func TestServe(t *testing.T) {
	var closed []string
	a := &fakeDaemon{"a", make(chan error, 1), &closed, nil}
	b := &fakeDaemon{"b", make(chan error, 1), &closed, errors.New("b is stuck")}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Serve(ctx, zap.NewNop(), a, b); err == nil || !strings.Contains(err.Error(), "b is stuck") {
		t.Error(err)
	}
	if got := strings.Join(closed, ""); got != "ab" {
		t.Errorf("closed %s", got)
	}
	closed = nil
	dead := errors.New("disk full")
	b.err <- dead
	if err := Serve(context.Background(), zap.NewNop(), a, b); !errors.Is(err, dead) || strings.Join(closed, "") != "ab" {
		t.Errorf("%v, closed %v", err, closed)
	}
}

func TestSignalEndsRun(t *testing.T) {
	var flags struct{ Common }
	p := Program{Name: "p", Flags: &flags, Run: func(ctx context.Context, _ io.Writer, _ *kong.Context) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("the signal did not end the context")
		}
	}}
	var out, errs bytes.Buffer
	if status := p.Exec(nil, &out, &errs); status != 0 {
		t.Error(errs.String())
	}
}
