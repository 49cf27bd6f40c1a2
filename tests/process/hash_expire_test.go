package process

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// hashOf creates a hash, in several commands, in which all but the first few
// fields expire at a time.
func hashOf(t *testing.T, c *redis.Client, key string, fields, lasting int, at time.Time) {
	t.Helper()
	const atOnce = 500
	for base := 0; base < fields; base += atOnce {
		var pairs []any
		request := []any{"HPEXPIREAT", key, at.UnixMilli(), "FIELDS", 0}
		for i := base; i < min(base+atOnce, fields); i++ {
			if pairs = append(pairs, fmt.Sprint("f", i), "value"); i >= lasting {
				request = append(request, fmt.Sprint("f", i))
			}
		}
		if err := c.HSet(t.Context(), key, pairs...).Err(); err != nil {
			t.Fatal(err)
		}
		if n := len(request) - 5; n > 0 {
			request[4] = n
			if err := c.Do(t.Context(), request...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Fields expire at the same time for all proxies. Expired fields that nobody
// reads are removed automatically, and hashes with their last field.
func TestFieldsExpire(t *testing.T) {
	cluster := harness.StartCluster(t, usual)
	var proxies []*redis.Client
	for _, addr := range cluster.Addrs() {
		c := open(addr)
		t.Cleanup(func() { _ = c.Close() })
		proxies = append(proxies, c)
	}
	ctx, c := t.Context(), proxies[0]
	soon := time.Now().Add(2 * time.Second)
	hashOf(t, c, "some", 3, 1, soon)
	hashOf(t, c, "last", 3, 0, soon)
	hashOf(t, c, "many", 3000, 1500, soon)
	hashOf(t, c, "all", 3000, 0, soon)
	hashOf(t, c, "later", 3000, 0, time.Now().Add(time.Hour))
	for i := range 8 { // on many slots
		key := fmt.Sprint("sorted:", i)
		hashOf(t, c, key, 2, 1, soon)
		if err := c.RPush(ctx, "list", key).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if times := c.HPTTL(ctx, "later", "f0", "none").Val(); len(times) != 2 || times[0] <= 0 || times[1] != -2 {
		t.Errorf("HPTTL answers %v", times)
	}
	gone := func(c *redis.Client) bool {
		all, err := c.HGetAll(ctx, "some").Result()
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1
	}
	harness.Await(t, "the fields to be past their time", func() bool { return gone(c) })
	for _, other := range proxies {
		if !gone(other) {
			t.Errorf("%v still has fields that another proxy has reported as gone", other)
		}
	}
	// A snapshot that has to remove expired fields retries, and finishes.
	sort := []any{"SORT", "list", "BY", "nosort", "GET", "*->f0", "GET", "*->f1"}
	for _, other := range proxies {
		found, err := other.Do(ctx, sort...).Slice()
		if err != nil || fmt.Sprint(found) != "["+strings.TrimSpace(strings.Repeat("value <nil> ", 8))+"]" {
			t.Errorf("SORT finds %v, %v", found, err)
		}
	}
	// These look at headers alone.
	harness.Await(t, "hashes to go with their last fields", func() bool { return c.Exists(ctx, "last", "all").Val() == 0 })
	harness.Await(t, "fields to go that nobody reads", func() bool { return c.HLen(ctx, "many").Val() == 1500 })
	if n := c.HLen(ctx, "later").Val(); n != 3000 {
		t.Errorf("%d of 3000 fields are left, which expire later", n)
	}
	if n := c.DBSize(ctx).Val(); n != 3+8+1 {
		t.Errorf("%d keys are left", n)
	}
}

// times are when the fields of a hash expire.
func times(ctx context.Context, c *redis.Client, key string, fields ...string) string {
	return fmt.Sprint(c.HGetAll(ctx, key).Val(), c.HPExpireTime(ctx, key, fields...).Val())
}

// Fields keep their expiry when copied from one cluster to another, directly
// and as a file. Hashes with expiring fields are not copied to a Redis without
// such fields, but reported.
func TestMigrateFields(t *testing.T) {
	from, to := newServer(t, harness.StartLocal(t, 1).Addrs[0]), newServer(t, harness.StartLocal(t, 1).Addrs[0])
	ctx := t.Context()
	at := time.Now().Add(time.Hour)
	hashOf(t, from.dbs[0], "small", 3, 1, at)
	hashOf(t, from.dbs[0], "wide", 2000, 700, at)
	from.fill(t, 30)
	fields := []string{"f0", "f1", "f699", "f700", "f1999", "none"}
	must := func(args ...string) {
		t.Helper()
		if status, stdout, stderr := harness.Run(t, harness.Binary(t, "synodctl"), args...); status != 0 {
			t.Fatalf("synodctl %q: %s%s", args, stdout, stderr)
		}
	}
	check := func(what string) {
		t.Helper()
		for _, key := range []string{"small", "wide"} {
			if got, want := times(ctx, to.dbs[0], key, fields...), times(ctx, from.dbs[0], key, fields...); got != want {
				t.Errorf("%s, %s: got %.300s, want %.300s", what, key, got, want)
			}
		}
		sameContent(t, what, to.dump(t), from.dump(t))
		if err := to.dbs[0].FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
	must("import", "--from", from.addr, "--to", to.addr)
	check("by itself")
	file := filepath.Join(t.TempDir(), "dump.rdb")
	must("export", "--from", from.addr, "--to-file", file)
	must("import", "--from-file", file, "--to", to.addr)
	check("in a file")

	old := newServer(t, harness.Redis(t))
	status, stdout, stderr := harness.Run(t, harness.Binary(t, "synodctl"), "export", "--from", from.addr, "--to", old.addr)
	if status != 1 || !strings.Contains(stdout, `key "small"`) || !strings.Contains(stderr, "2 of the keys were not copied") {
		t.Errorf("export to Redis 7.0: %d, %s%s", status, stdout, stderr)
	}
}
