package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/identity"
	"synod/storaged/datadir"
)

// TestLives: every start is a life of its own, after a crash too, and what the
// directory holds is what it says it recovered.
func TestLives(t *testing.T) {
	r := newRig(t, testOptions(t))
	seen := map[identity.Life]bool{}
	for n := range uint64(datadir.MaxLives + 3) {
		past := r.e.Past()
		life := past.Life()
		if life.Number != n+1 || seen[life] || len(past.Lives) != min(int(n)+1, datadir.MaxLives) || past.Recovered != r.e.Synced() {
			t.Fatalf("start %d: %+v, synced %d", n+1, past, r.e.Synced())
		}
		for old := range seen {
			if m := (identity.Mark{Life: old, Position: past.Recovered}); past.Check(m, r.e.Synced()) != nil {
				t.Fatalf("start %d does not stand by start %d: %v", n+1, old.Number, past.Check(m, r.e.Synced()))
			}
		}
		ahead := identity.Mark{Life: life, Position: r.e.Synced() + 1}
		if !errors.Is(past.Check(ahead, r.e.Synced()), identity.ErrRolledBack) {
			t.Fatal("a position that is not there")
		}
		seen[life] = true
		pos, err := r.e.AppendNode(durable.NodeState{Ceiling: ballot.Time(n + 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.e.WaitSynced(pos); err != nil {
			t.Fatal(err)
		}
		r.reopen([]func(*Engine) error{(*Engine).Close, (*Engine).Abort}[n%2])
	}
}

// TestMovedFiles: a directory whose files are others than before says so until
// that is settled.
func TestMovedFiles(t *testing.T) {
	o := testOptions(t)
	r := newRig(t, o)
	if r.e.Moved() || r.e.ConfirmSite() != nil {
		t.Fatal("a new directory counts as moved")
	}
	if err := r.e.Close(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(o.Dir, datadir.LockFile)
	if err := os.Rename(lock, lock+".old"); err != nil {
		t.Fatal(err)
	}
	for _, moved := range []bool{true, true, false} {
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		if r.e.Moved() != moved {
			t.Fatalf("moved: %v", r.e.Moved())
		}
		if moved = len(r.e.Past().Lives) == 3; moved {
			if err := r.e.ConfirmSite(); err != nil || r.e.Moved() {
				t.Fatal(err)
			}
		}
		if err := r.e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClaimsAreKept: an id belongs to whoever came first with it, also after a
// crash, and with ids forgotten.
func TestClaimsAreKept(t *testing.T) {
	r := newRig(t, testOptions(t))
	busy := func(id ballot.ProposerID) bool { return id == 2 }
	admit := func(id ballot.ProposerID, start uint64, want bool) {
		t.Helper()
		highest, err := r.e.Admit(identity.Claim{Proposer: id, Start: start}, busy)
		if (err == nil) != want || err != nil && (!errors.Is(err, datadir.ErrProposerTaken) || highest < id) {
			t.Fatalf("id %d, start %d: highest %d, %v", id, start, highest, err)
		}
	}
	admit(5, 50, true)
	admit(2, 20, true)
	for range 2 {
		admit(5, 50, true)
		admit(5, 51, false)
		r.reopen((*Engine).Abort)
	}
	admit(ballot.MaxProposer-1, 1, true)
	for id := ballot.ProposerID(10); id < 10+identity.MaxClaims; id++ {
		r.e.memory.Claims.Add(identity.Claim{Proposer: id, Start: 1}, busy) // without a write for each
	}
	admit(5000, 1, true) // keeps all
	r.reopen((*Engine).Abort)
	admit(5, 50, false) // forgotten, and refused for that
	admit(2, 20, true)  // in use
	admit(5000, 1, true)
	admit(5000, 2, false)
}

// TestDamagedMemory: damage in both halves of a file is refused, not taken for a
// directory that remembers nothing.
func TestDamagedMemory(t *testing.T) {
	for _, name := range []string{datadir.LivesFile, datadir.ProposersFile} {
		o := testOptions(t)
		r := newRig(t, o)
		if _, err := r.e.Admit(identity.Claim{Proposer: 1, Start: 1}, func(ballot.ProposerID) bool { return false }); err != nil {
			t.Fatal(err)
		}
		if err := r.e.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(o.Dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, info.Size()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.open(); err == nil {
			t.Errorf("opened with %s zeroed", name)
		}
	}
}

// TestPlacementIsKept: it is read back as it was, or not at all.
func TestPlacementIsKept(t *testing.T) {
	o := testOptions(t)
	r := newRig(t, o)
	if b, err := r.e.Placement(); b != nil || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if err := r.e.KeepPlacement([]byte("placement")); err != nil {
		t.Fatal(err)
	}
	if b, err := r.e.Placement(); string(b) != "placement" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, datadir.PlacementFile), []byte("placement"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := r.e.Placement(); err == nil {
		t.Fatalf("%q was taken for the placement", b)
	}
}
