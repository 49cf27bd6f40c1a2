package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Cluster is a cluster of processes: storage nodes and proxies, on an etcd.
type Cluster struct {
	Name    string
	Etcd    *Etcd
	Nodes   []*Member
	Proxies []*Member

	t testing.TB
}

// Member is a storage node or a proxy, through all its lives.
type Member struct {
	*Process          // the present or last life
	ID       string   // "n1", "p1"
	Addr     string   // where it listens
	Admin    string   // where it listens for HTTP
	Dir      string   // a node's data, or what a proxy keeps
	Extra    []string // flags besides the usual
	start    func() *Process
}

// Size says how large a cluster is to be, and how it differs from the usual.
type Size struct {
	Nodes, Proxies        int
	NodeFlags, ProxyFlags []string
}

// StartCluster starts an etcd and a cluster on it and waits until every proxy
// serves.
func StartCluster(t testing.TB, size Size) *Cluster {
	t.Helper()
	c := NewCluster(t, StartEtcd(t), size)
	for _, m := range c.Nodes {
		m.Start()
	}
	c.Init()
	for _, m := range c.Proxies {
		m.Start()
	}
	c.AwaitServing()
	return c
}

// NewCluster returns a cluster on an etcd, of which nothing has been started.
func NewCluster(t testing.TB, etcd *Etcd, size Size) *Cluster {
	t.Helper()
	c := &Cluster{Name: "main", Etcd: etcd, t: t}
	for i := range size.Nodes {
		c.Nodes = append(c.Nodes, c.node(fmt.Sprintf("n%d", i+1), size.NodeFlags))
	}
	for i := range size.Proxies {
		c.Proxies = append(c.Proxies, c.proxy(fmt.Sprintf("p%d", i+1), size.ProxyFlags))
	}
	return c
}

func (c *Cluster) node(id string, extra []string) *Member {
	m := &Member{ID: id, Addr: Addr(c.t), Admin: Addr(c.t), Dir: filepath.Join(c.t.TempDir(), id), Extra: extra}
	m.start = func() *Process {
		return Start(c.t, id, Binary(c.t, "synod-storaged"), append([]string{
			"--id", id, "--listen", m.Addr, "--admin", m.Admin, "--data-dir", m.Dir,
			"--etcd", c.Etcd.URL, "--cluster", c.Name, "--cache-size", "32MiB", "--min-free", "1MiB",
		}, m.Extra...)...)
	}
	return m
}

func (c *Cluster) proxy(name string, extra []string) *Member {
	m := &Member{ID: name, Addr: Addr(c.t), Admin: Addr(c.t), Dir: filepath.Join(c.t.TempDir(), name), Extra: extra}
	m.start = func() *Process {
		return Start(c.t, name, Binary(c.t, "synod-proxy"), append([]string{
			"--name", name, "--listen", m.Addr, "--admin", m.Admin, "--etcd", c.Etcd.URL, "--cluster", c.Name,
			"--state-dir", m.Dir,
		}, m.Extra...)...)
	}
	return m
}

// AddProxy starts one more proxy, which is not among those that Start or a test
// goes through.
func (c *Cluster) AddProxy(name string) *Member {
	c.t.Helper()
	m := c.proxy(name, nil)
	m.Start()
	AwaitServing(c.t, m.Process, m.Addr)
	return m
}

// Copy returns a member like a node, with a copy of its directory and other
// ports. The node is frozen while it is copied.
func (c *Cluster) Copy(of *Member) *Member {
	c.t.Helper()
	m := c.node(of.ID, of.Extra)
	of.Freeze()
	defer of.Thaw()
	CopyDir(c.t, of.Dir, m.Dir)
	return m
}

// CopyDir copies a directory to one that does not exist.
func CopyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// Start begins the member's next life. The last must have ended.
func (m *Member) Start() {
	if m.Process != nil && m.Running() {
		panic("harness: " + m.ID + " is running")
	}
	m.Process = m.start()
}

// Restart kills the member, if it runs, and starts it again.
func (m *Member) Restart() {
	if m.Process != nil {
		m.Kill()
	}
	m.Start()
}

// Ready reports whether the member says that it can do its work.
func (m *Member) Ready() bool { return healthy("http://" + m.Admin + "/readyz") }

// AwaitReady waits for Ready.
func (m *Member) AwaitReady(t testing.TB) {
	t.Helper()
	if !Poll(Patience, func() bool { return m.Ready() || !m.Running() }) || !m.Running() {
		t.Fatalf("%s does not become ready", m.ID)
	}
}

// Control runs synodctl on the cluster and returns how it ended.
func (c *Cluster) Control(args ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	return Run(c.t, Binary(c.t, "synodctl"), append([]string{"--etcd", c.Etcd.URL, "--cluster", c.Name}, args...)...)
}

// Init lays the cluster out, with three replicas or as many as there are nodes.
func (c *Cluster) Init() {
	c.t.Helper()
	var names []string
	for _, m := range c.Nodes {
		names = append(names, m.ID)
	}
	status, _, stderr := c.Control("init", "--nodes", strings.Join(names, ","), "--replicas", fmt.Sprint(min(3, len(names))))
	if status != 0 {
		c.t.Fatalf("synodctl init: %s", stderr)
	}
}

// AwaitServing waits until every proxy serves.
func (c *Cluster) AwaitServing() {
	c.t.Helper()
	for _, p := range c.Proxies {
		AwaitServing(c.t, p.Process, p.Addr)
	}
}

// Addrs returns the proxies' addresses.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, p := range c.Proxies {
		addrs = append(addrs, p.Addr)
	}
	return addrs
}

// Local is a cluster in one process, program synod.
type Local struct {
	*Process
	Addrs []string
	Dir   string

	t     testing.TB
	flags []string
}

// StartLocal starts a synod with the number of proxies, on a new directory.
func StartLocal(t testing.TB, proxies int, flags ...string) *Local {
	t.Helper()
	port := Port(t, proxies)
	l := &Local{Dir: filepath.Join(t.TempDir(), "data"), t: t}
	for i := range proxies {
		l.Addrs = append(l.Addrs, fmt.Sprintf("127.0.0.1:%d", port+i))
	}
	l.flags = append([]string{"--listen", l.Addrs[0], "--proxies", fmt.Sprint(proxies), "--data-dir", l.Dir}, flags...)
	l.Start()
	return l
}

// Start begins the next life of the cluster and waits until it serves.
func (l *Local) Start() {
	l.t.Helper()
	l.Process = Start(l.t, "synod", Binary(l.t, "synod"), l.flags...)
	for _, addr := range l.Addrs {
		AwaitServing(l.t, l.Process, addr)
	}
}
