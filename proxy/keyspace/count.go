package keyspace

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/proxy/router"
)

// Each node counts the live keys of each slot and sums up their hashes. If a
// quorum of members has equal sums, they hold the same keys, and their count is
// the answer. It is correct: at least one of them voted for every key written
// before the request, so all of them have it; the same holds for deletes. (A
// write with an unknown outcome may count either way if a member missed it.)
//
// Concurrent writes make sums differ for a moment. So slots that differ are
// asked for again, in smaller ranges and finally one by one; few slots are
// written at the same time. If a slot still differs because a member missed
// writes, its keys are counted one by one, which also brings the member up to
// date.

const (
	// countParts is the number of parts into which a group's slots are divided
	// if its members differ.
	countParts = 128
	// countTries is how often single slots are asked for again; countPause is
	// the first pause in between, and each next one is twice as long.
	countTries = 4
	countPause = time.Millisecond
	// countPatience is how long to wait for the other members after a quorum
	// has answered.
	countPatience = 10 * time.Millisecond
	// censusLimit limits the duration of Census.
	censusLimit = 500 * time.Millisecond
)

// Size returns the number of keys in a database. As in Redis, expired keys
// count until they are deleted.
func (k *Keyspace) Size(ctx context.Context, db byte) (int64, error) {
	ranges := k.Nodes.Ranges()
	if len(ranges) == 0 {
		return 0, operation.ErrNoQuorum
	}
	counts := make([]counting, len(ranges))
	errs := make([]error, len(ranges))
	var wg sync.WaitGroup
	for i, rng := range ranges {
		c := &counts[i]
		*c = counting{k: k, rng: rng, dbs: 1 << db}
		wg.Go(func() {
			if errs[i] = c.run(ctx); errs[i] == nil {
				errs[i] = c.walk(ctx, db)
			}
		})
	}
	wg.Wait()
	var n int64
	for i := range counts {
		if errs[i] != nil {
			return 0, errs[i]
		}
		n += int64(counts[i].sums[db].Keys)
	}
	return n, nil
}

// Census estimates the number of keys of each database. If the members of a
// group differ, it uses the median. It always returns quickly, and leaves out
// slots for which no member answers.
func (k *Keyspace) Census(ctx context.Context) [partition.Databases]listing.Tally {
	ctx, cancel := context.WithTimeoutCause(ctx, censusLimit, operation.ErrNoQuorum)
	defer cancel()
	ranges := k.Nodes.Ranges()
	counts := make([]counting, len(ranges))
	var wg sync.WaitGroup
	for i, rng := range ranges {
		c := &counts[i]
		*c = counting{k: k, rng: rng, dbs: partition.AllDatabases}
		wg.Go(func() {
			_ = c.run(ctx) // use whatever was answered
			c.guess()
		})
	}
	wg.Wait()
	var sums [partition.Databases]listing.Tally
	for i := range counts {
		for db := range sums {
			sums[db] = sums[db].Plus(counts[i].sums[db])
		}
	}
	return sums
}

// counting is the count of one slot range.
type counting struct {
	k    *Keyspace
	rng  router.SlotRange
	dbs  partition.DatabaseSet
	sums [partition.Databases]listing.Tally // of settled spans
	open []partition.SlotSpan               // spans not settled yet
	told [][][]listing.Tallied              // members' answers for each open span
}

// run asks the members until only single slots on which they differ are open,
// or until a quorum cannot answer.
func (c *counting) run(ctx context.Context) error {
	c.open = []partition.SlotSpan{{First: c.rng.First, Last: c.rng.Last}}
	pause := countPause
	for step := 0; ; step++ {
		told, err := c.ask(ctx)
		switch {
		case err != nil:
			return err
		case !told, len(c.open) == 0, step == 2+countTries:
			return nil
		case step == 0:
			c.divide(max(1, (int(c.rng.Last-c.rng.First)+countParts)/countParts))
			continue
		case step == 1:
			c.divide(1)
			continue
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// divide splits open spans into spans of up to size slots.
func (c *counting) divide(size int) {
	var parts []partition.SlotSpan
	for _, s := range c.open {
		for first := int(s.First); first <= int(s.Last); first += size {
			parts = append(parts, partition.SlotSpan{First: uint16(first), Last: uint16(min(first+size-1, int(s.Last)))})
		}
	}
	c.open, c.told = parts, nil
}

// ask asks the members about open spans, and settles those on which a quorum
// agrees. It returns whether a quorum could answer: a member cannot while it is
// still counting, or if it has a different placement.
func (c *counting) ask(ctx context.Context) (told bool, err error) {
	limit, cancel := context.WithTimeoutCause(ctx, c.k.Limits.Command, operation.ErrNoQuorum)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		answered, got := c.tryAsk(limit)
		if quorum := c.rng.Config.IsQuorum; quorum(answered) {
			return quorum(got), nil
		}
		if outage := c.k.Nodes.Outage(c.rng.First); outage != nil {
			return false, outage
		}
		select {
		case <-time.After(pause):
		case <-limit.Done():
			return false, context.Cause(limit)
		}
	}
}

// tryAsk returns which members replied, and which of them had an answer.
func (c *counting) tryAsk(ctx context.Context) (answered, got quorum.Set) {
	type answer struct {
		index int
		reply *listing.TallyReply
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg := c.rng.Config
	nodes := cfg.Nodes()
	came := make(chan answer, len(nodes))
	req := listing.TallyRequest{Epoch: cfg.Epoch, Spans: c.open, Databases: c.dbs}
	for i, node := range nodes {
		go func() {
			reply, err := c.k.Nodes.Tally(ctx, node, req)
			came <- answer{i, reply, err}
		}()
	}
	said := make([]answers, len(nodes))
	var late <-chan time.Time
	s := settled{open: c.open}
	for waiting := len(nodes); waiting > 0; {
		select {
		case a := <-came:
			waiting--
			if a.err != nil {
				continue
			}
			if answered = answered.With(a.index); a.reply.Outcome == message.ReadOK {
				said[a.index], got = split(a.reply.Tallies, len(c.open)), got.With(a.index)
				s = c.settle(said, got)
			}
			if len(s.open) == 0 {
				waiting = 0
			}
			if cfg.IsQuorum(answered) && late == nil {
				late = time.After(countPatience)
			}
		case <-late:
			waiting = 0
		}
	}
	if got == 0 {
		return answered, got
	}
	c.open, c.told = s.open, s.told
	for db := range c.sums {
		c.sums[db] = c.sums[db].Plus(s.sums[db])
	}
	return answered, got
}

// answers are one member's tallies for each span, by database. Nil means no
// answer.
type answers [][]listing.Tallied

// split divides a reply into spans.
func split(tallies []listing.Tallied, spans int) answers {
	out := make(answers, spans)
	for len(tallies) > 0 {
		n, span := 1, int(tallies[0].Span)
		for n < len(tallies) && int(tallies[n].Span) == span {
			n++
		}
		if span < spans {
			out[span] = tallies[:n]
		}
		tallies = tallies[n:]
	}
	return out
}

// settled is the result of comparing answers.
type settled struct {
	sums [partition.Databases]listing.Tally // of spans on which a quorum agrees
	open []partition.SlotSpan               // the other spans
	told [][][]listing.Tallied              // members' answers for these
}

func (c *counting) settle(said []answers, got quorum.Set) (s settled) {
	for i, span := range c.open {
		var about [][]listing.Tallied
		agree := -1
		for m := range said {
			if !got.Has(m) {
				continue
			}
			about = append(about, said[m][i])
			var same quorum.Set
			for o := range said {
				if got.Has(o) && slices.EqualFunc(said[m][i], said[o][i], sameTally) {
					same = same.With(o)
				}
			}
			if c.rng.Config.IsQuorum(same) {
				agree = m
				break
			}
		}
		if agree < 0 {
			s.open, s.told = append(s.open, span), append(s.told, about)
			continue
		}
		for _, t := range said[agree][i] {
			s.sums[t.Database] = s.sums[t.Database].Plus(t.Tally)
		}
	}
	return s
}

func sameTally(a, b listing.Tallied) bool {
	return a.Database == b.Database && a.Same(b.Tally)
}

// guess adds the median member's tallies for open spans.
func (c *counting) guess() {
	for _, about := range c.told {
		for db := range byte(partition.Databases) {
			var said []listing.Tally
			for _, tallies := range about {
				i, ok := slices.BinarySearchFunc(tallies, db, func(t listing.Tallied, db byte) int { return cmp.Compare(t.Database, db) })
				if ok {
					said = append(said, tallies[i].Tally)
				} else {
					said = append(said, listing.Tally{})
				}
			}
			slices.SortFunc(said, func(a, b listing.Tally) int { return cmp.Compare(a.Keys, b.Keys) })
			c.sums[db] = c.sums[db].Plus(said[len(said)/2])
		}
	}
}

// walk counts the keys of open spans one by one.
func (c *counting) walk(ctx context.Context, db byte) error {
	const atOnce = 8
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	spans := joined(c.open)
	var next atomic.Int32
	var n atomic.Uint64
	var walkers sync.WaitGroup
	for range min(atOnce, len(spans)) {
		walkers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(spans) {
					return
				}
				if err := c.k.walk(ctx, db, spans[i], func(Key) { n.Add(1) }); err != nil {
					cancel(err)
				}
			}
		})
	}
	walkers.Wait()
	c.sums[db].Keys += n.Load()
	return context.Cause(ctx)
}

// joined merges adjacent spans.
func joined(spans []partition.SlotSpan) (out []partition.SlotSpan) {
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].Last+1 == s.First {
			out[n-1].Last = s.Last
		} else {
			out = append(out, s)
		}
	}
	return out
}
