package process

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"synod/tests/harness"
)

// Two of six nodes fail, so two of the six groups have no quorum. Once that is
// known, commands on their slots fail at once, naming the group and its nodes.
// Other commands in the same pipeline are answered normally, and everything
// works again when one of the nodes is back.
func TestDeadGroupAnswersAtOnce(t *testing.T) {
	for _, how := range []struct {
		name       string
		down, back func(*harness.Member)
	}{
		{"killed", func(m *harness.Member) { m.Kill() }, func(m *harness.Member) { m.Start(); m.AwaitReady(t) }},
		{"frozen", func(m *harness.Member) { m.Freeze() }, func(m *harness.Member) { m.Thaw() }},
	} {
		t.Run(how.name, func(t *testing.T) {
			c := harness.StartCluster(t, harness.Size{Nodes: 6, Proxies: 1})
			client := harness.Dial(t, c.Proxies[0].Addr)
			const keys = 1000
			var sets, gets []byte
			for i := range keys {
				key := fmt.Sprint("outage:", i)
				sets = append(sets, harness.Command("SET", key, "before")...)
				gets = append(gets, harness.Command("GET", key)...)
			}
			for i, reply := range pipeline(t, client, sets, keys) {
				if reply != "+OK\r\n" {
					t.Fatalf("SET of key %d: %q", i, reply)
				}
			}
			how.down(c.Nodes[3])
			how.down(c.Nodes[4])
			dead := awaitOutage(t, client, gets, keys)

			// Sent one by one: if each had to wait, this would take an hour.
			start := time.Now()
			for i := range dead {
				for _, words := range [][]string{{"GET", key(i)}, {"SET", key(i), "during"}, {"INCR", key(i)}, {"DEL", key(i)}} {
					if reply := client.Must(t, words...); !isOutage(reply) {
						t.Fatalf("%q: %q", words, reply)
					}
				}
			}
			t.Logf("%d commands on dead slots, one after the other: %v", 4*len(dead), time.Since(start))
			for _, words := range [][]string{{"DBSIZE"}, {"KEYS", "*"}, {"FLUSHALL"}} {
				if reply := client.Must(t, words...); !isOutage(reply) {
					t.Errorf("%q: %q", words, reply)
				}
			}

			how.back(c.Nodes[3])
			start = time.Now()
			for well := false; !well; {
				well = true
				for i, reply := range pipeline(t, client, gets, keys) {
					if strings.HasPrefix(reply, "-CLUSTERDOWN") {
						well = false
					} else if reply != "$6\r\nbefore\r\n" {
						t.Fatalf("key %d after the outage: %q", i, reply)
					}
				}
			}
			t.Logf("all keys answer %v after the quorum is back", time.Since(start))
			for i, reply := range pipeline(t, client, sets, keys) {
				if reply != "+OK\r\n" {
					t.Fatalf("SET of key %d when all is well: %q", i, reply)
				}
			}
		})
	}
}

func key(i int) string { return fmt.Sprint("outage:", i) }

func isOutage(reply string) bool {
	return strings.HasPrefix(reply, "-CLUSTERDOWN nothing was done: group ") && strings.Contains(reply, "n4, n5")
}

// awaitOutage reads all keys in one pipeline until each reply is as expected:
// its value or an outage error. It returns the outage errors.
func awaitOutage(t *testing.T, client *harness.Conn, gets []byte, keys int) map[int]bool {
	t.Helper()
	var dead map[int]bool
	known := func() bool {
		dead = make(map[int]bool)
		for i, reply := range pipeline(t, client, gets, keys) {
			switch {
			case reply == "$6\r\nbefore\r\n":
			case isOutage(reply):
				dead[i] = true
			case strings.HasPrefix(reply, "-CLUSTERDOWN"):
				return false
			default:
				t.Fatalf("GET of key %d: %q", i, reply)
			}
		}
		return len(dead) > 0
	}
	if !harness.Poll(harness.Patience, known) {
		t.Fatal("the outage is not noticed")
	}
	if len(dead) < keys/6 || len(dead) > keys/2 {
		t.Fatalf("%d of %d keys are in dead slots, want about a third", len(dead), keys)
	}
	return dead
}

// pipeline sends requests at once and returns their replies.
func pipeline(t *testing.T, client *harness.Conn, requests []byte, n int) []string {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- client.Send(bytes.Clone(requests)) }()
	replies := make([]string, n)
	for i := range replies {
		reply, err := client.Reply()
		if err != nil {
			t.Fatal(err)
		}
		replies[i] = string(reply)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return replies
}
