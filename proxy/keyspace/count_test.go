package keyspace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// members are three nodes, each with its own keys.
type members struct {
	*fakeNodes
	mu     sync.Mutex
	held   [3]map[string]bool // by key, with its database; true if it expires
	cannot quorum.Set         // members that are still counting
	asked  int                // questions
	pages  int                // pages of keys
	before func(asked int)    // called before each question
}

func newMembers(keys ...string) *members {
	m := &members{fakeNodes: newFake(3)}
	for i := range m.held {
		m.held[i] = make(map[string]bool)
		for _, k := range keys {
			m.held[i][k] = false
		}
	}
	return m
}

func (m *members) keyspace() *Keyspace {
	k := m.fakeNodes.keyspace()
	k.Nodes, k.Registers = m, m
	return k
}

func slotOf(key string) uint16 { return uint16(partition.Hash(key) % partition.Slots) }

func (m *members) Tally(ctx context.Context, to quorum.NodeID, req listing.TallyRequest) (*listing.TallyReply, error) {
	if m.frozen.Has(int(to)) {
		return m.fakeNodes.Tally(ctx, to, req)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked++; m.before != nil {
		m.before(m.asked)
	}
	if m.cannot.Has(int(to)) {
		return &listing.TallyReply{Outcome: message.Busy}, nil
	}
	reply := &listing.TallyReply{Outcome: message.ReadOK}
	for i, span := range req.Spans {
		sums := make([]listing.Tally, partition.Databases)
		for key, expires := range m.held[to] {
			if slot := slotOf(key); span.First <= slot && slot <= span.Last && req.Databases.Has(key[0]) {
				one := listing.Tally{Keys: 1, Digest: partition.Hash(key)}
				if expires {
					one.Expiring, one.Expiry = 1, 5000
				}
				sums[key[0]] = sums[key[0]].Plus(one)
			}
		}
		for db, sum := range sums {
			if sum.Keys > 0 {
				reply.Tallies = append(reply.Tallies, listing.Tallied{Span: uint16(i), Database: byte(db), Tally: sum})
			}
		}
	}
	return reply, nil
}

func (m *members) List(ctx context.Context, to quorum.NodeID, req listing.Request) (*listing.Reply, error) {
	if m.frozen.Has(int(to)) {
		return m.fakeNodes.List(ctx, to, req)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	reply := &listing.Reply{Outcome: message.ReadOK, Done: true}
	for _, key := range slices.Sorted(maps.Keys(m.held[to])) {
		if slot := slotOf(key); slot >= req.First && slot <= req.Last && key[0] == req.Space {
			reply.Entries = append(reply.Entries, listing.Entry{Register: register.ID{Slot: slot, Key: key},
				Accepted: ballot.Ballot{Time: 1}, Type: uint8(register.String)})
		}
	}
	return reply, nil
}

// Submit reads from member 0 and brings the others up to date.
func (m *members) Submit(cmds []*proposer.Command) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range cmds {
		v := register.Nothing()
		expires, ok := m.held[0][c.Register.Key]
		for i := range m.held {
			if delete(m.held[i], c.Register.Key); ok {
				m.held[i][c.Register.Key] = expires
			}
		}
		if ok {
			v.Header.Type = register.String
		}
		c.Result = c.Op.Execute(v, 0).Result
		c.Done(c)
	}
}

func someKeys(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("\x00k", i))
	}
	return keys
}

func wantSize(t *testing.T, m *members, want int64) {
	t.Helper()
	if n, err := m.keyspace().Size(t.Context(), 0); err != nil || n != want {
		t.Errorf("counted %d keys, %v, want %d", n, err, want)
	}
	synctest.Wait() // a quorum has answered; others may be about to
}

func TestCountsAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers(append(someKeys(1000), "\x01elsewhere")...)
		wantSize(t, m, 1000)
		if m.asked > 3 || m.pages > 0 {
			t.Errorf("%d questions, %d pages", m.asked, m.pages)
		}
	})
}

// TestCountsOfMemberThatMissedWrites checks that the other members outvote it.
// If one of them does not answer, the differing slot is walked, and is correct
// afterwards.
func TestCountsOfMemberThatMissedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers(someKeys(1000)...)
		for i := range 10 {
			delete(m.held[2], fmt.Sprint("\x00k", 7*i))
			m.held[2][fmt.Sprint("\x00deleted", i)] = false
		}
		wantSize(t, m, 1000)
		if m.pages > 0 {
			t.Errorf("%d pages though two agree", m.pages)
		}
		m.frozen = 0b010
		wantSize(t, m, 1000)
		if m.pages == 0 || m.pages > 100 {
			t.Errorf("%d pages", m.pages)
		}
		m.pages = 0
		wantSize(t, m, 1000)
		if m.pages > 0 {
			t.Errorf("%d pages when nothing differs any more", m.pages)
		}
	})
}

// TestCountsWhileKeysComeAndGo has members that differ because of writes in
// progress, which later questions find complete.
func TestCountsWhileKeysComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers(someKeys(1000)...)
		m.before = func(n int) {
			if n > 9 {
				return
			}
			m.held[n%3][fmt.Sprint("\x00new", n)] = false // one member has it already
			if n > 3 {
				for i := range m.held {
					m.held[i][fmt.Sprint("\x00new", n-3)] = false
				}
			}
		}
		n, err := m.keyspace().Size(t.Context(), 0)
		if err != nil || n < 1000 || n > 1009 || m.pages > 0 {
			t.Errorf("counted %d keys, %v, with %d pages", n, err, m.pages)
		}
	})
}

// TestCountsWhileMembersCount checks that slots are walked if members cannot
// answer yet.
func TestCountsWhileMembersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers(someKeys(10)...)
		m.cannot = 0b100
		wantSize(t, m, 10)
		if m.pages > 0 {
			t.Errorf("%d pages though two can tell", m.pages)
		}
		m.cannot = 0b110
		wantSize(t, m, 10)
		if m.pages == 0 {
			t.Error("counted by one member's word")
		}
	})
}

func TestCensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers("\x00a", "\x00b", "\x03c", "\x0fd")
		for i := range m.held {
			m.held[i]["\x00e"] = true
		}
		m.held[1]["\x03under way"] = false
		m.frozen = 0b100
		m.held[1]["\x04only here"] = false
		got := m.keyspace().Census(t.Context())
		for db, want := range map[byte]listing.Tally{0: {Keys: 3, Expiring: 1, Expiry: 5000}, 15: {Keys: 1}} {
			if got := got[db]; got.Keys != want.Keys || got.Expiring != want.Expiring || got.Expiry != want.Expiry {
				t.Errorf("database %d: %+v, want %+v", db, got, want)
			}
		}
		if n := got[3].Keys; n < 1 || n > 2 || m.pages > 0 {
			t.Errorf("%d keys in database 3, %d pages", n, m.pages)
		}
	})
}

// TestCensusWithoutQuorum checks that a single member's answer is used,
// quickly.
func TestCensusWithoutQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers("\x00a")
		m.frozen = 0b110
		got := m.keyspace().Census(t.Context())
		if got[0].Keys != 1 {
			t.Errorf("%+v", got[0])
		}
		if _, err := m.keyspace().Size(t.Context(), 0); !errors.Is(err, operation.ErrNoQuorum) {
			t.Errorf("size without a quorum: %v", err)
		}
	})
}
