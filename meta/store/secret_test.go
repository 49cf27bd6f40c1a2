package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"synod/meta/store"
	"synod/meta/store/storetest"
	"synod/protocol/rpc"
)

func secret(s *store.Snapshot) bool { return len(s.Secrets) > 0 }

// TestInitMakesASecret: a cluster has a secret from the beginning, of its own.
func TestInitMakesASecret(t *testing.T) {
	e := storetest.Start(t)
	var all [][]byte
	for _, cluster := range []string{"c", "d"} {
		s := open(t, e, cluster)
		if snap, err := s.Get(testContext(t)); err != nil || secret(snap) {
			t.Fatalf("before: %v, %v", snap, err)
		}
		initialise(t, s)
		snap, err := s.WaitTable(testContext(t))
		if err != nil || len(snap.Secrets) != 1 || len(snap.Secrets[0]) != 32 {
			t.Fatalf("%v, %v", snap, err)
		}
		all = append(all, snap.Secrets[0])
	}
	if bytes.Equal(all[0], all[1]) {
		t.Error("two clusters have the same secret")
	}
}

// TestOlderClusterGetsASecret: a cluster that was created without one gets one, the
// same for all who watch, and so does one whose secret was deleted.
func TestOlderClusterGetsASecret(t *testing.T) {
	e := storetest.Start(t)
	initialise(t, open(t, e, "c"))
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var before []rpc.Secret
	for range 2 {
		if _, err := raw.Delete(testContext(t), "/synod/c/secret"); err != nil {
			t.Fatal(err)
		}
		got := make([][]rpc.Secret, 4)
		var all sync.WaitGroup
		for i := range got {
			s := open(t, e, "c")
			all.Go(func() {
				if snap, err := s.WaitTable(testContext(t)); err != nil {
					t.Error(err)
				} else {
					got[i] = snap.Secrets
				}
			})
		}
		all.Wait()
		for _, g := range got {
			if len(g) != 1 || !bytes.Equal(g[0], got[0][0]) {
				t.Fatalf("the watchers have %d secrets, or different ones", len(g))
			}
		}
		if before != nil && bytes.Equal(before[0], got[0][0]) {
			t.Error("the secret is the one that was deleted")
		}
		before = got[0]
	}
}

func TestRotatedSecretIsSeen(t *testing.T) {
	e := storetest.Start(t)
	s := open(t, e, "c")
	if err := s.RotateSecret(testContext(t)); err == nil || !strings.Contains(err.Error(), store.ErrNoSecret.Error()) {
		t.Errorf("before Init: %v", err)
	}
	initialise(t, s)
	snaps := s.Watch(testContext(t))
	last := until(t, snaps, "a secret", secret).Secrets
	for range 3 {
		if err := s.RotateSecret(testContext(t)); err != nil {
			t.Fatal(err)
		}
		next := until(t, snaps, "another secret", func(s *store.Snapshot) bool {
			return secret(s) && !bytes.Equal(s.Secrets[0], last[0])
		}).Secrets
		if len(next) != 2 || !bytes.Equal(next[1], last[0]) {
			t.Fatalf("%d secrets, or not the one before", len(next))
		}
		last = next
	}
}

// TestSecretOfAFileComesFirst: what a file says takes the place of what etcd has.
func TestSecretOfAFileComesFirst(t *testing.T) {
	e := storetest.Start(t)
	initialise(t, open(t, e, "c"))
	name := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# of the cluster\n\n 0123456789abcdef \nfedcba9876543210")
	secrets, err := store.ReadSecrets(name)
	want := []rpc.Secret{rpc.Secret("0123456789abcdef"), rpc.Secret("fedcba9876543210")}
	if err != nil || !slices.EqualFunc(secrets, want, func(a, b rpc.Secret) bool { return bytes.Equal(a, b) }) {
		t.Fatalf("%q, %v", secrets, err)
	}
	s, err := store.Open(store.Config{Endpoints: []string{e.Endpoint}, Cluster: "c", Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	snap, err := s.WaitTable(testContext(t))
	if err != nil || len(snap.Secrets) != 2 || !bytes.Equal(snap.Secrets[0], want[0]) {
		t.Errorf("%v, %v", snap, err)
	}
	for text, say := range map[string]string{
		"":                                      "0 secrets",
		"# nothing\n":                           "0 secrets",
		"short\n":                               "5 characters",
		strings.Repeat("0123456789abcdef\n", 5): "5 secrets",
	} {
		write(text)
		if _, err := store.ReadSecrets(name); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "short") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := store.ReadSecrets(name + "s"); err == nil {
		t.Error("no file, no error")
	}
}
