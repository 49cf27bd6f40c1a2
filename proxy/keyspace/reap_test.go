package keyspace

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/listing"
	"synod/protocol/register"
	"synod/proxy/datatype/hash"
)

// dueNodes holds values, and lists those with expired data.
type dueNodes struct {
	*fakeNodes
	values map[string]register.View
	most   int // maximum number of ops in a change
}

func (d *dueNodes) List(_ context.Context, _ quorum.NodeID, req listing.Request) (*listing.Reply, error) {
	reply := &listing.Reply{Outcome: message.ReadOK, Done: true}
	for key, v := range d.values {
		e := listing.Entry{Register: register.ID{Key: key}, Type: uint8(v.Header.Type), Expiry: v.Header.Expiry}
		if due := layout.Due(v.Header); !req.Expired || due != 0 && due <= time.Now().UnixMilli() {
			reply.Entries = append(reply.Entries, e)
		}
	}
	return reply, nil
}

func (d *dueNodes) Submit(cmds []*proposer.Command) {
	for _, c := range cmds {
		now, v := time.Now().UnixMilli(), d.values[c.Register.Key]
		if v.Header.Expired(now) {
			v = register.Nothing()
		}
		e := c.Op.Execute(v, now)
		d.most = max(d.most, len(e.Change.Ops))
		if v = v.Apply(e.Change); v.Header.Exists() {
			d.values[c.Register.Key] = v
		} else {
			delete(d.values, c.Register.Key)
		}
		c.Result = e.Result
		c.Done(c)
	}
}

// TestReapingFields checks that expired fields are removed gradually, and the
// hash with its last field. SCAN must not treat such a hash as expired.
func TestReapingFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dueNodes{fakeNodes: newFake(3), values: map[string]register.View{}}
		add := func(key string, fields, lasting int, expiry time.Duration) {
			var pairs [][]byte
			var expiries []int64
			for i := range fields {
				pairs = append(pairs, []byte(strconv.Itoa(i)), []byte("value"))
				expiries = append(expiries, time.Now().Add(time.Second).UnixMilli())
			}
			clear(expiries[:lasting])
			h, ops := hash.Build(pairs, expiries)
			if expiry != 0 {
				h.Expiry = time.Now().Add(expiry).UnixMilli()
			}
			d.values["\x00"+key] = register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
		}
		add("some", 2000, 700, 0)
		add("none", 2000, 0, 0)
		add("expires later", 300, 10, time.Hour)
		add("expires before", 300, 10, time.Millisecond)
		k := d.keyspace()
		k.Nodes, k.Registers = d, d
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+2*reapEvery)
		defer cancel()
		time.Sleep(time.Second)
		if keys, err := k.Keys(ctx, 0, []byte("*")); err != nil || len(keys) != 3 {
			t.Errorf("%q are keys, %v", keys, err)
		}
		k.Reap(ctx)
		for key, want := range map[string]uint64{"some": 700, "none": 0, "expires later": 10, "expires before": 0} {
			if v := d.values["\x00"+key]; v.Header.Size != want || v.Header.Exists() != (want > 0) || len(v.Header.Aux) > 0 {
				t.Errorf("%s: %d fields are left, %x", key, v.Header.Size, v.Header.Aux)
			}
		}
		if d.most > 2*1024 {
			t.Errorf("%d ops in one change", d.most)
		}
	})
}

// storm is a key space with many expired keys, on nodes that may have other
// work.
type storm struct {
	*fakeNodes
	began   int
	others  float64 // per second
	taking  time.Duration
	most    int           // concurrent commands
	working time.Duration // with commands in progress
	turns   int           // pages
	refuses bool
}

func (s *storm) List(ctx context.Context, to quorum.NodeID, req listing.Request) (*listing.Reply, error) {
	if s.turns++; s.refuses {
		return &listing.Reply{Outcome: message.Busy}, nil
	}
	page, err := s.fakeNodes.List(ctx, to, req)
	deleted := uint64(s.began - len(s.keys))
	page.Votes = uint64(s.others*time.Since(s.start).Seconds()) + reapVotes*deleted
	page.Reads = deleted * 2 / 3 // two of three members are asked
	return page, err
}

func (s *storm) Submit(cmds []*proposer.Command) {
	s.most = max(s.most, len(cmds))
	s.working += s.taking
	time.AfterFunc(s.taking, func() { s.fakeNodes.Submit(cmds) })
}

func newStorm(keys int) *storm {
	s := &storm{fakeNodes: newFake(3), taking: 4 * time.Millisecond}
	for i := range keys {
		s.keys = append(s.keys, "\x00"+strconv.Itoa(i))
	}
	s.began = keys
	return s
}

func (s *storm) reap(t *testing.T, d time.Duration) {
	k := s.keyspace()
	k.Nodes, k.Registers = s, s
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	k.Reap(ctx)
}

// TestReapingLeavesTimeToOthers checks that, while the nodes have other work,
// reaping uses a sixth of the time and handles few keys at a time.
func TestReapingLeavesTimeToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(40_000)
		s.taking = 40 * time.Millisecond
		s.others = 5000
		s.reap(t, 30*time.Second)
		if share := s.working.Seconds() / 30; share > 1./(1+reapRest) || share < 0.8/(1+reapRest) || s.most > reapAtOnce {
			t.Errorf("at work for %.2f of the time, with %d keys at a time", share, s.most)
		}
	})
}

// TestReapingIdleNodes checks that no time is wasted if there is no other work.
func TestReapingIdleNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(5000)
		s.taking = 20 * time.Millisecond
		s.others = 20
		s.reap(t, 6*time.Second)
		if len(s.keys) > 0 {
			t.Errorf("%d keys are left; at work for %v", len(s.keys), s.working)
		}
	})
}

// TestReapingByOne checks that keys listed to another proxy are left to it.
func TestReapingByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(1000)
		s.refuses = true
		s.reap(t, 10*time.Second)
		if len(s.keys) != 1000 || s.turns > 20 {
			t.Errorf("%d keys are left after %d questions", len(s.keys), s.turns)
		}
	})
}
