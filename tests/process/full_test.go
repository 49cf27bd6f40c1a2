package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// All disks of a cluster fill up, first by clients and then by something else.
// Writes that add data are refused with a clear error and without effect. Reads
// and deletes continue, and a node can start. After enough deletes everything
// works again. No acknowledged write is lost.
func TestAllDisksFull(t *testing.T) {
	c := harness.NewCluster(t, harness.StartEtcd(t), harness.Size{Nodes: 3, Proxies: 2,
		NodeFlags: []string{"--min-free", "112MiB"}})
	for _, m := range c.Nodes {
		m.Dir = smallDisk(t)
		m.Start()
	}
	c.Init()
	for _, m := range c.Proxies {
		m.Start()
	}
	c.AwaitServing()
	f := &filling{t: t, values: make(map[string]string)}
	f.fillUp(c.Addrs(), 20)
	harness.Await(t, "two nodes to say that they are short of room", func() bool {
		short := 0
		for _, n := range c.Nodes {
			if !n.Ready() && n.Metric(t, "synod_node_disk_room") > 0 {
				short++
			}
		}
		return short >= 2 || f.oneMore(c.Addrs()[0])
	})
	client := open(c.Addrs()[1])
	defer func() { _ = client.Close() }()
	f.check(client, 200)
	f.remove(client, 20)

	var others []string
	for _, n := range c.Nodes {
		others = append(others, fill(t, n.Dir))
	}
	n := c.Nodes[1]
	n.Restart()
	n.AwaitOutput("serving")
	c.Nodes[0].Freeze() // now the one that started on a full disk is needed
	f.check(client, 200)
	f.remove(client, 20)
	c.Nodes[0].Thaw()
	if err := client.Set(context.Background(), "more", "refused", 0).Err(); !redis.HasErrorPrefix(err, "OOM") {
		t.Errorf("a write on full disks: %v", err)
	}
	for _, path := range others {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}

	f.remove(client, len(f.values)/2)
	f.awaitRoom(client)
	f.check(client, len(f.values))
	f.fillUp(c.Addrs(), 1)
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	f.values = make(map[string]string)
	f.awaitRoom(client)
	for _, n := range c.Nodes {
		if !n.Running() {
			t.Errorf("%s has ended:\n%s", n.ID, n.Stderr())
		}
	}
}

// filling is what clients know of the values that they have set.
type filling struct {
	t      *testing.T
	mu     sync.Mutex
	values map[string]string
	last   int
}

// fillUp has clients set values until each was refused several times.
func (f *filling) fillUp(addrs []string, refusals int) {
	f.t.Helper()
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			client := open(addrs[i%len(addrs)])
			defer func() { _ = client.Close() }()
			for left := refusals; left > 0 && !f.t.Failed(); {
				if !f.set(client) {
					left--
				}
			}
		})
	}
	clients.Wait()
	if f.t.Failed() {
		f.t.FailNow()
	}
}

// set sets a value, and reports whether that succeeded. Otherwise the error
// must say that there is no space.
func (f *filling) set(client *redis.Client) bool {
	f.mu.Lock()
	f.last++
	key := fmt.Sprint("filling:", f.last)
	rnd := rand.New(rand.NewPCG(uint64(f.last), 1))
	f.mu.Unlock()
	value := make([]byte, 16<<10)
	for i := range value {
		value[i] = byte(rnd.Uint32())
	}
	err := client.Set(context.Background(), key, value, 0).Err()
	if err != nil {
		if !redis.HasErrorPrefix(err, "OOM") {
			f.t.Errorf("a write as disks fill up: %v", err)
		}
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[key] = string(value)
	return true
}

// oneMore sets one more value if there is space. It returns false.
func (f *filling) oneMore(addr string) bool {
	client := open(addr)
	defer func() { _ = client.Close() }()
	f.set(client)
	return false
}

func (f *filling) awaitRoom(client *redis.Client) {
	f.t.Helper()
	harness.Await(f.t, "room", func() bool { return f.set(client) })
}

// remove deletes some values.
func (f *filling) remove(client *redis.Client, n int) {
	f.t.Helper()
	for key := range f.values {
		if n--; n < 0 {
			return
		}
		if err := client.Del(context.Background(), key).Err(); err != nil {
			f.t.Fatalf("a delete on full disks: %v", err)
		}
		delete(f.values, key)
	}
}

// check reads some of the values back.
func (f *filling) check(client *redis.Client, n int) {
	f.t.Helper()
	for key, want := range f.values {
		if n--; n < 0 {
			return
		}
		got, err := client.Get(context.Background(), key).Result()
		if err != nil || got != want {
			f.t.Fatalf("%s reads back %d bytes, %v", key, len(got), err)
		}
	}
}
