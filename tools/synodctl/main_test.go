package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/meta/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"synodctl": main})
}

// TestScripts runs testdata/*.txtar. Besides synodctl, scripts can use `etcd`,
// which starts one and sets $ETCD, `node CLUSTER ID` and `proxy CLUSTER NAME`,
// which register a member until the script ends, and `unnode ID`, which
// unregisters a node.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"etcd": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Setenv("ETCD", storetest.Start(t).Endpoint)
			},
			"node":   func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(node(ts, args[0], args[1])) },
			"unnode": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(signOff(ts, args[0])) },
			"proxy":  func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(proxy(ts, args[0], args[1])) },
		},
		Setup: func(env *testscript.Env) error {
			env.Values["registered"] = make(map[string]*store.Registration)
			return nil
		},
	})
}

func openStore(ts *testscript.TestScript, cluster string) (*store.Store, context.Context, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	st, err := store.Open(store.Config{Endpoints: []string{ts.Getenv("ETCD")}, Cluster: cluster})
	ts.Defer(func() {
		cancel()
		if st != nil {
			_ = st.Close()
		}
	})
	return st, ctx, err
}

func node(ts *testscript.TestScript, cluster, id string) error {
	st, ctx, err := openStore(ts, cluster)
	if err != nil {
		return err
	}
	reg, err := st.RegisterNode(ctx, store.NodeInfo{ID: id, Addr: id + ":7101", Admin: id + ":8101", StoreID: "s-" + id, Version: "v1"})
	ts.Value("registered").(map[string]*store.Registration)[id] = reg
	return err
}

func signOff(ts *testscript.TestScript, id string) error {
	return ts.Value("registered").(map[string]*store.Registration)[id].Close(context.Background())
}

func proxy(ts *testscript.TestScript, cluster, name string) error {
	st, ctx, err := openStore(ts, cluster)
	if err != nil {
		return err
	}
	id, err := st.NextProposerID(ctx, 0)
	if err != nil {
		return err
	}
	_, err = st.RegisterProxy(ctx, store.ProxyInfo{ProposerID: id, Name: name, Addr: name + ":6379", Admin: name + ":8201", Version: "v1"})
	return err
}

func TestRender(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	var nodes []store.Node
	for i := range 3 {
		id := fmt.Sprintf("n%d", i+1)
		nodes = append(nodes, store.Node{ID: id, Addr: id + ":7101", Admin: id + ":8101", Version: "v1", Up: i == 0, Since: now.Add(-90 * time.Second)})
	}
	nodes[2].Since = time.Time{}
	table, err := placement.Plan([]string{"n1", "n2", "n3"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	got := newStatus("main", &store.Snapshot{ClusterID: "abc", Table: table, Nodes: nodes}).render(now)
	want := `Cluster main (abc)

Nodes
  NODE  STATE  SINCE                        ADDRESS  ADMIN    SLOTS  VERSION
  n1    up     2026-05-01 11:58:30 (1m30s)  n1:7101  n1:8101  16384  v1
  n2    down   2026-05-01 11:58:30 (1m30s)  n2:7101  n2:8101  16384  v1
  n3    down   unknown                      n3:7101  n3:8101  16384  v1

Proxies: none is up

Groups
  GROUP  NODES     UP      SLOTS
  g1     n1 n2 n3  1 of 3  16384  no quorum is up

Slots
  SLOTS    GROUP  EPOCH  STATE
  0-16383  g1         1  STABLE
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, strings.ReplaceAll(want, " \n", "·\n"))
	}
}
