package process

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"synod/tests/harness"
)

var soakFor = flag.Duration("soak", 0, "how long TestSoak goes on; zero skips it")

// soak is a cluster that lives through all trials while clients work on it.
type soak struct {
	*harness.Cluster
	w      *workload
	random *rand.Rand
	big    string // a value of 20 KB
}

// trial is one thing that happens to the cluster.
type trial struct {
	name string
	run  func(s *soak, t *testing.T)
	// clear: no command may be refused or end as uncertain because of it.
	clear bool
}

var trials = []trial{
	{"a node is killed", (*soak).killNode, true},
	{"a node is frozen", (*soak).freezeNode, true},
	{"a proxy is killed", (*soak).killProxy, false},
	{"etcd is away", (*soak).etcdAway, true},
	{"a majority is frozen", (*soak).freezeMajority, false},
	{"large sums are read", (*soak).readSums, true},
	{"large values come and go", (*soak).largeValues, true},
	{"replies are left unread", (*soak).unread, true},
	{"many keys expire at once", (*soak).expire, true},
	{"strangers talk to the nodes", (*soak).strangers, true},
	{"random faults", (*soak).faults, false},
}

// apartEach is how many tests apart follow each round of trials.
const apartEach = 3

// apart are tests that need a cluster of their own, as they damage it.
var apart = []struct {
	name string
	test func(*testing.T)
}{
	{"dead group", TestDeadGroupAnswersAtOnce},
	{"silent node, two proxies", TestSilentNodeTwoProxies},
	{"one full disk", TestDiskFull},
	{"all disks full", TestAllDisksFull},
	{"damaged changelog", TestChangelogDamaged},
	{"acknowledged on a damaged disk", TestAcknowledgedOnDamagedDisk},
	{"rolled back directory", TestRolledBackDirectory},
	{"copy elsewhere", TestCopyElsewhere},
	{"proposer id given twice", TestProposerIDGivenTwice},
	{"starts without etcd", TestStartWithoutEtcd},
	{"frames of other epochs", TestFramesOfOtherEpochs},
	{"large sums of replies", TestLargeSumsOfReplies},
	{"largest string", TestLargestString},
	{"large replies", TestLargeReplies},
	{"unread replies", TestUnreadReplies},
	{"many large values", TestManyLargeValues},
	{"keys that expire at once", TestKeysThatExpireAtOnce},
	{"full cache", TestFullCache},
	{"large frames", TestLargeFrames},
	{"no memory for a change", TestChangesThatNodesHaveNoMemoryFor},
	{"migration", TestMigrate},
}

// TestSoak runs all trials repeatedly on one long-lived cluster, while checked
// clients work on it. At the end it checks that no process uses more memory,
// files, goroutines or disk than after the first round, and that memory stays
// within its limits. Trials that damage a cluster run on separate clusters,
// each at least once.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("go test ./process -run TestSoak -soak 10m")
	}
	end := time.Now().Add(*soakFor)
	s := newSoak(t)
	var before map[string]usage
	next := 0 // of those apart
	for before == nil || next < len(apart) || time.Now().Before(end) {
		for _, one := range trials {
			s.try(t, one)
		}
		if before == nil {
			before = s.usage(t)
		}
		for range apartEach {
			one := apart[next%len(apart)]
			t.Run(one.name, one.test)
			next++
		}
		s.w.retire()
		if t.Failed() && next >= len(apart) {
			break
		}
	}
	after := s.usage(t)
	for _, m := range s.members() {
		t.Logf("%s at first: %v", m.ID, before[m.ID])
		t.Logf("%s at last:  %v", m.ID, after[m.ID])
		for _, problem := range after[m.ID].grown(before[m.ID]) {
			t.Errorf("%s: %s", m.ID, problem)
		}
	}
	wantBounded(t, s.Cluster)
	s.w.check(s.Proxies[0].Addr)
}

func newSoak(t *testing.T) *soak {
	c := harness.StartCluster(t, boundedSize(2, nil))
	return &soak{Cluster: c, w: run(t, 16, c.Addrs()...), random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)),
		big: strings.Repeat("0123456789abcdef", 1250)}
}

func (s *soak) members() []*harness.Member { return slices.Concat(s.Nodes, s.Proxies) }

func (s *soak) usage(t *testing.T) map[string]usage {
	all := map[string]usage{}
	for _, m := range s.members() {
		all[m.ID] = usageOf(t, m)
	}
	return all
}

func (s *soak) try(t *testing.T, one trial) {
	t.Run(one.name, func(t *testing.T) {
		s.w.gaps.phase(one.name)
		s.w.calm()
		refused, uncertain := s.w.lostSoFar()
		s.w.newReasons()
		start := time.Now()
		one.run(s, t)
		s.w.progress(enough)
		r, u := s.w.lostSoFar()
		t.Logf("%d refused, %d uncertain, in %v", r-refused, u-uncertain, time.Since(start).Round(time.Millisecond))
		if one.clear && (r != refused || u != uncertain) {
			t.Errorf("%d commands were refused, %d ended as uncertain: %v", r-refused, u-uncertain, s.w.newReasons())
		}
		for _, m := range s.members() {
			if !m.Running() {
				t.Errorf("%s has ended", m.ID)
			}
		}
	})
}

func (s *soak) node() *harness.Member { return s.Nodes[s.random.IntN(len(s.Nodes))] }

func (s *soak) killNode(t *testing.T) {
	n := s.node()
	n.Kill()
	s.w.progress(2000)
	n.Start()
	n.AwaitReady(t)
}

func (s *soak) freezeNode(*testing.T) {
	n := s.node()
	n.Freeze()
	s.w.progress(2000)
	n.Thaw()
}

func (s *soak) killProxy(t *testing.T) {
	p := s.Proxies[s.random.IntN(len(s.Proxies))]
	p.Kill()
	s.w.progress(enough)
	p.Start()
	harness.AwaitServing(t, p.Process, p.Addr)
}

func (s *soak) etcdAway(*testing.T) {
	s.Etcd.Kill()
	s.w.progress(2000)
	s.Etcd.Start()
}

func (s *soak) freezeMajority(t *testing.T) {
	client := harness.Dial(t, s.Proxies[0].Addr)
	s.Nodes[0].Freeze()
	s.Nodes[1].Freeze()
	harness.Await(t, "the outage to be known", func() bool {
		return strings.HasPrefix(client.Must(t, "GET", "soak"), "-CLUSTERDOWN nothing was done: group ")
	})
	s.Nodes[0].Thaw()
	s.Nodes[1].Thaw()
}

// readSums reads far more than any buffer holds, with one command and with one
// pipeline.
func (s *soak) readSums(t *testing.T) {
	const keys = 2000
	client := harness.Dial(t, s.Proxies[1].Addr)
	var sets, gets []byte
	names := []string{"MGET"}
	for i := range keys {
		name := fmt.Sprint("sum:", i)
		names = append(names, name)
		sets = append(sets, harness.Command("SET", name, s.big)...)
		gets = append(gets, harness.Command("GET", name)...)
	}
	for i, reply := range pipeline(t, client, sets, keys) {
		if reply != "+OK\r\n" {
			t.Fatalf("SET %d: %.100q", i, reply)
		}
	}
	one := fmt.Sprintf("$%d\r\n%s\r\n", len(s.big), s.big)
	if got, want := client.Must(t, names...), fmt.Sprintf("*%d\r\n", keys)+strings.Repeat(one, keys); got != want {
		t.Errorf("MGET of %d keys: %d bytes, want %d: %.100q", keys, len(got), len(want), got)
	}
	for i, reply := range pipeline(t, client, gets, keys) {
		if reply != one {
			t.Fatalf("GET %d: %.100q", i, reply)
		}
	}
	s.remove(t, client, names[1:])
}

func (s *soak) remove(t *testing.T, client *harness.Conn, names []string) {
	t.Helper()
	if reply := client.Must(t, append([]string{"DEL"}, names...)...); reply != fmt.Sprintf(":%d\r\n", len(names)) {
		t.Errorf("DEL of %d keys: %q", len(names), reply)
	}
}

func (s *soak) largeValues(t *testing.T) {
	client := harness.Dial(t, s.Proxies[0].Addr)
	value := strings.Repeat(s.big, 3000) // 60 MB
	if reply := client.Must(t, "SET", "large", value); reply != "+OK\r\n" {
		t.Errorf("SET: %q", reply)
	}
	if reply, want := client.Must(t, "GET", "large"), fmt.Sprintf("$%d\r\n%s\r\n", len(value), value); reply != want {
		t.Errorf("GET: %d bytes, want %d: %.100q", len(reply), len(want), reply)
	}
	s.remove(t, client, []string{"large"})
}

// unread leaves hundreds of megabytes of replies unread.
func (s *soak) unread(t *testing.T) {
	client := harness.Dial(t, s.Proxies[1].Addr)
	if reply := client.Must(t, "SET", "unread", strings.Repeat(s.big, 50)); reply != "+OK\r\n" {
		t.Errorf("SET: %q", reply)
	}
	var idle []*harness.Conn
	for range 8 {
		c := harness.Dial(t, s.Proxies[1].Addr)
		if err := c.Send(bytes.Repeat(harness.Command("GET", "unread"), 50)); err != nil {
			t.Error(err)
		}
		idle = append(idle, c)
	}
	s.w.progress(2000)
	for _, c := range idle {
		_ = c.Close()
	}
	s.remove(t, client, []string{"unread"})
}

func (s *soak) expire(t *testing.T) {
	const keys = 20_000
	client := harness.Dial(t, s.Proxies[0].Addr)
	at := fmt.Sprint(time.Now().Add(2 * time.Second).UnixMilli())
	var sets []byte
	for i := range keys {
		sets = append(sets, harness.Command("SET", fmt.Sprint("fading:", i), "value", "PXAT", at)...)
	}
	for i, reply := range pipeline(t, client, sets, keys) {
		if reply != "+OK\r\n" {
			t.Fatalf("SET %d: %q", i, reply)
		}
	}
	harness.Await(t, "the keys to be gone", func() bool {
		return client.Must(t, "KEYS", "fading:*") == "*0\r\n"
	})
}

// strangers send what is no session of ours.
func (s *soak) strangers(t *testing.T) {
	noise := make([]byte, 4<<10)
	for range 100 {
		for _, n := range s.Nodes {
			for i := range noise {
				noise[i] = byte(s.random.Uint32())
			}
			c := harness.Dial(t, n.Addr)
			_ = c.Send(noise) // it may be turned away before it has said all
			_ = c.Close()
		}
	}
}

func (s *soak) faults(t *testing.T) {
	for range 4 {
		f := newFault(s.random, s.members())
		f.begin()
		if nodes, proxies := f.left(s.Cluster); proxies > 0 && nodes > len(s.Nodes)/2 {
			s.w.progress(enough)
		}
		f.end()
	}
	for _, n := range s.Nodes {
		n.AwaitReady(t)
	}
	s.AwaitServing()
}
