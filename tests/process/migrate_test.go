package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
	"synod/tools/migrate"
)

// server is one side of a copy.
type server struct {
	addr string
	dbs  [16]*redis.Client
}

func newServer(t *testing.T, addr string) *server {
	s := &server{addr: addr}
	for db := range s.dbs {
		s.dbs[db] = redis.NewClient(&redis.Options{Addr: addr, DB: db, Protocol: 2, DisableIdentity: true})
		t.Cleanup(func() { _ = s.dbs[db].Close() })
	}
	return s
}

// fill makes keys of all types and sizes, some of them with an expiry, in
// several databases.
func (s *server) fill(t *testing.T, keys int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	ctx := t.Context()
	for _, db := range []int{0, 1, 7, 15} {
		p := s.dbs[db].Pipeline()
		for i := range keys {
			key := fmt.Sprintf("key:%d\x00\xff", i)
			n := 1 + r.IntN(30)
			if i%97 == 0 {
				n = 1000
			}
			fillOne(ctx, p, r, key, i%6, n)
			if i%5 == 0 {
				p.PExpireAt(ctx, key, time.UnixMilli(time.Now().UnixMilli()+3_600_000+int64(i)))
			}
		}
		p.Set(ctx, "large", strings.Repeat("0123456789abcdef", 1<<16), 0)
		if _, err := p.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func fillOne(ctx context.Context, p redis.Pipeliner, r *rand.Rand, key string, kind, n int) {
	for range n {
		member, value := fmt.Sprint("m", r.IntN(1e6)), strings.Repeat(fmt.Sprint(r.IntN(1e6)), 1+r.IntN(20))
		switch kind {
		case 0:
			p.Set(ctx, key, value, 0)
		case 1:
			p.RPush(ctx, key, value)
		case 2:
			p.SAdd(ctx, key, member)
		case 3:
			p.HSet(ctx, key, member, value)
		case 4:
			p.ZAdd(ctx, key, redis.Z{Member: member, Score: r.NormFloat64()})
		case 5:
			p.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"field", value}})
		}
	}
	if kind == 5 {
		p.XGroupCreate(ctx, key, "group", "0")
		p.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "group", Consumer: "c", Streams: []string{key, ">"}, Count: 3, Block: -1})
	}
}

// dump returns all data in a form that is equal for equal content, because
// hashes and sets are unordered.
func (s *server) dump(t *testing.T) map[string]string {
	t.Helper()
	ctx := t.Context()
	out := map[string]string{}
	for db, c := range s.dbs {
		var cursor uint64
		for {
			keys, next, err := c.Scan(ctx, cursor, "", 500).Result()
			if err != nil {
				t.Fatalf("%s: %v", s.addr, err)
			}
			for _, k := range keys {
				out[fmt.Sprintf("%d %q", db, k)] = fmt.Sprint(look(ctx, t, c, k), " until ", c.Do(ctx, "PEXPIRETIME", k).Val())
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return out
}

func look(ctx context.Context, t *testing.T, c *redis.Client, key string) any {
	t.Helper()
	switch kind := c.Type(ctx, key).Val(); kind {
	case "set":
		members := c.SMembers(ctx, key).Val()
		slices.Sort(members)
		return members
	case "hash":
		return c.HGetAll(ctx, key).Val()
	case "none":
		t.Errorf("%q is gone", key)
		return nil
	default: // written in one way only
		text, err := c.Dump(ctx, key).Result()
		if err != nil {
			t.Errorf("DUMP %q: %v", key, err)
		}
		return kind + " " + text
	}
}

func sameContent(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	wrong := 0
	for k, v := range want {
		if got[k] != v {
			if wrong++; wrong < 5 {
				t.Errorf("%s: %s: got %.300q, want %.300q", what, k, got[k], v)
			}
		}
	}
	if wrong > 0 || len(got) != len(want) {
		t.Fatalf("%s: %d of %d keys differ, %d are there", what, wrong, len(want), len(got))
	}
}

// A Redis is imported into a cluster, directly and as a file, and exported to
// another Redis and to a file. Nothing is lost or altered.
func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	old := newServer(t, harness.Redis(t, "--dir", dir))
	old.fill(t, 300)
	want := old.dump(t)
	cluster := harness.StartLocal(t, 1)
	here := newServer(t, cluster.Addrs[0])
	control := func(args ...string) (status int, stdout, stderr string) {
		t.Helper()
		return harness.Run(t, harness.Binary(t, "synodctl"), args...)
	}
	must := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := control(args...)
		if status != 0 {
			t.Fatalf("synodctl %q: %s%s", args, stdout, stderr)
		}
		return stdout
	}

	said := must("import", "--from", old.addr, "--to", here.addr)
	if !strings.Contains(said, fmt.Sprintf("copied %d, existing 0, gone meanwhile 0, failed 0", len(want))) {
		t.Errorf("import said %q", said)
	}
	sameContent(t, "imported", here.dump(t), want)
	if said := must("import", "--from", old.addr, "--to", here.addr, "--skip-existing", "--db", "7"); !strings.Contains(said, "copied 0, existing 301") {
		t.Errorf("import of what exists said %q", said)
	}

	other := newServer(t, harness.Redis(t))
	must("export", "--from", here.addr, "--to", other.addr)
	sameContent(t, "exported", other.dump(t), want)

	file := filepath.Join(t.TempDir(), "dump.rdb")
	must("export", "--from", here.addr, "--to-file", file)
	if out, err := exec.Command("redis-check-rdb", file).CombinedOutput(); err != nil {
		t.Fatalf("redis-check-rdb: %v\n%s", err, out)
	}
	loaded := newServer(t, harness.Redis(t, "--dir", filepath.Dir(file), "--dbfilename", "dump.rdb"))
	sameContent(t, "loaded", loaded.dump(t), want)

	// A file that Redis has written.
	if err := old.dbs[0].Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := here.dbs[0].FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	must("import", "--from-file", filepath.Join(dir, "dump.rdb"), "--to", here.addr)
	sameContent(t, "imported from a file", here.dump(t), want)
	if status, _, stderr := control("export", "--from", here.addr, "--to-file", file); status != 1 || !strings.Contains(stderr, "exists") {
		t.Errorf("a file that exists: %d, %s", status, stderr)
	}
}

// A copy that is interrupted at any point resumes there, with the same result
// as an uninterrupted one.
func TestMigrateResumes(t *testing.T) {
	dir := t.TempDir()
	from := newServer(t, harness.Redis(t, "--dir", dir))
	from.fill(t, 700)
	want := from.dump(t)
	if err := from.dbs[0].Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.rdb")
	for name, c := range map[string]migrate.Config{
		"server to server": {From: &migrate.Server{Addr: from.addr}},
		"file to server":   {FromFile: filepath.Join(dir, "dump.rdb")},
		"server to file":   {From: &migrate.Server{Addr: from.addr}, ToFile: out},
	} {
		t.Run(name, func(t *testing.T) {
			c.State = filepath.Join(t.TempDir(), "state")
			if c.ToFile == "" {
				c.To = &migrate.Server{Addr: harness.Redis(t)}
			}
			result, runs := runInterrupted(t, c)
			if runs < 4 || result.Tally.Copied != int64(len(want)) || result.Tally.Failed > 0 {
				t.Errorf("%d runs: %+v", runs, result)
			}
			if again, err := migrate.Run(t.Context(), c); err != nil || !again.Before || again.Tally != result.Tally {
				t.Errorf("once more: %+v, %v", again, err)
			}
			var to *server
			if c.ToFile == "" {
				to = newServer(t, c.To.Addr)
			} else {
				to = newServer(t, harness.Redis(t, "--dir", filepath.Dir(out), "--dbfilename", filepath.Base(out)))
			}
			sameContent(t, name, to.dump(t), want)
			other := c
			other.DBs = []int{1}
			if _, err := migrate.Run(t.Context(), other); err == nil {
				t.Error("the state of one copy is taken for that of another")
			}
		})
	}
}

// runInterrupted runs a copy that is interrupted after each confirmed batch,
// until it is complete.
func runInterrupted(t *testing.T, c migrate.Config) (*migrate.Result, int) {
	t.Helper()
	for runs := 1; ; runs++ {
		ctx, cancel := context.WithCancel(t.Context())
		before, _ := os.ReadFile(c.State)
		c.Report = func(migrate.Progress) {
			if now, _ := os.ReadFile(c.State); string(now) != string(before) {
				cancel()
			}
		}
		result, err := migrate.Run(ctx, c)
		cancel()
		if err == nil {
			return result, runs
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// A kill at any moment is no more than an interruption.
func TestMigrateIsKilled(t *testing.T) {
	from := newServer(t, harness.Redis(t))
	from.fill(t, 400)
	want := from.dump(t)
	to := newServer(t, harness.Redis(t))
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"import", "--from", from.addr, "--to", to.addr, "--state", state}
	p := harness.Start(t, "synodctl", harness.Binary(t, "synodctl"), append(args, "--rate", "500")...)
	harness.Await(t, "some progress", func() bool { _, err := os.Stat(state); return err == nil })
	p.Kill()
	status, stdout, stderr := harness.Run(t, harness.Binary(t, "synodctl"), args...)
	if status != 0 {
		t.Fatalf("%s%s", stdout, stderr)
	}
	sameContent(t, "resumed", to.dump(t), want)
}

// Keys that cannot be copied are reported, and do not prevent copying others.
func TestMigrateNamesFailures(t *testing.T) {
	from := newServer(t, harness.Redis(t))
	from.fill(t, 30)
	want := from.dump(t)
	big := make([]byte, 2<<20) // more than the target takes
	source := rand.New(rand.NewPCG(3, 4))
	for i := range big {
		big[i] = byte(source.IntN(256))
	}
	if err := from.dbs[1].Set(t.Context(), "too large", big, 0).Err(); err != nil {
		t.Fatal(err)
	}
	to := newServer(t, harness.Redis(t, "--proto-max-bulk-len", "1mb"))
	args := []string{"import", "--from", from.addr, "--to", to.addr, "--state", filepath.Join(t.TempDir(), "state")}
	for range 2 { // the second finds that it is done, and says the same
		status, stdout, stderr := harness.Run(t, harness.Binary(t, "synodctl"), args...)
		if status != 1 || !strings.Contains(stdout, `database 1, key "too large"`) || !strings.Contains(stderr, "1 of the keys were not copied") {
			t.Errorf("status %d: %s%s", status, stdout, stderr)
		}
	}
	sameContent(t, "the others", to.dump(t), want)
}
