package programtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"synod/meta/store"
	"synod/meta/store/storetest"
)

const (
	// ScriptLimit limits the total time of a program's scripts.
	ScriptLimit = 2 * time.Minute
	// waitLimit bounds every wait of a script.
	waitLimit = 30 * time.Second
)

// Commands are extra testscript commands for running programs:
//
//	etcd              start an etcd; its URL is in $ETCD
//	port NAME         put a free loopback port into $NAME
//	take PORT         listen on the port until the script ends
//	await PORT        wait until something listens on the port
//	up CLUSTER NODE   wait until the node is registered in $ETCD
//	redis PORT WORD…  send a command to a Redis server; the reply's first line
//	                  (of a bulk string: its first line of text) goes to the
//	                  file `reply`
func Commands(t *testing.T) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"etcd": func(ts *testscript.TestScript, _ bool, _ []string) {
			ts.Setenv("ETCD", storetest.Start(t).Endpoint)
		},
		"port": func(ts *testscript.TestScript, _ bool, args []string) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			ts.Check(err)
			_, port, err := net.SplitHostPort(l.Addr().String())
			ts.Check(err)
			ts.Check(l.Close())
			ts.Setenv(args[0], port)
		},
		"take": func(ts *testscript.TestScript, _ bool, args []string) {
			l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
			ts.Check(err)
			ts.Defer(func() { _ = l.Close() })
		},
		"await": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(await(args[0])) },
		"up": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(up(ts.Getenv("ETCD"), args[0], args[1]))
		},
		"redis": func(ts *testscript.TestScript, _ bool, args []string) {
			reply, err := redis(args[0], args[1:])
			ts.Check(err)
			ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), "reply"), []byte(reply+"\n"), 0o600))
		},
	}
}

func await(port string) error {
	deadline := time.Now().Add(waitLimit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing listens: %w", err)
		}
		<-tick.C
	}
}

func up(etcd, cluster, node string) (err error) {
	st, err := store.Open(store.Config{Endpoints: []string{etcd}, Cluster: cluster})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	_, err = st.Await(ctx, node, func(snap *store.Snapshot) bool { return len(store.Missing(snap, []string{node})) == 0 })
	return err
}

func redis(port string, words []string) (string, error) {
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(waitLimit)); err != nil {
		return "", err
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		_, _ = fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := c.Write([]byte(b.String())); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil && line[0] == '$' && line != "$-1\r\n" {
		line, err = r.ReadString('\n')
	}
	return strings.TrimRight(line, "\r\n"), err
}
