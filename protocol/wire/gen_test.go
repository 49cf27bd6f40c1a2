package wire

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// Generators of values that keep the promises of their types.

func genBallot() *rapid.Generator[ballot.Ballot] {
	return rapid.Custom(func(t *rapid.T) ballot.Ballot {
		if rapid.Bool().Draw(t, "zero") {
			return ballot.Ballot{}
		}
		return genSomeBallot().Draw(t, "ballot")
	})
}

func genSomeBallot() *rapid.Generator[ballot.Ballot] {
	return rapid.Custom(func(t *rapid.T) ballot.Ballot {
		time := rapid.OneOf(
			rapid.Uint64(),
			rapid.Uint64Range(1, 1<<20),
			rapid.Map(rapid.Uint64Range(1, 1<<20), func(ms uint64) uint64 { return ms << 16 }),
		).Draw(t, "time")
		id := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(1, 5), rapid.Just(uint32(ballot.MaxProposer))).Draw(t, "proposer")
		return ballot.Ballot{Time: ballot.Time(time), Proposer: ballot.ProposerID(id)}
	}).Filter(func(b ballot.Ballot) bool { return !b.IsZero() })
}

func genBallots(t *rapid.T, limit int) []ballot.Ballot {
	bs := rapid.SliceOfN(genSomeBallot(), 0, limit).Draw(t, "ballots")
	slices.SortFunc(bs, ballot.Ballot.Compare)
	return orNil(slices.Compact(bs))
}

func orNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func genLineage(t *rapid.T) history.Lineage {
	l := history.Lineage{TruncatedThrough: genBallot().Draw(t, "cut")}
	var before ballot.Ballot
	for _, b := range genBallots(t, 70) {
		e := history.Entry{Ballot: b}
		switch rapid.IntRange(0, 3).Draw(t, "parent") {
		case 0:
			e.Blind = true
		case 1:
			e.Parent = before
		case 2:
			e.Parent = genBallot().Draw(t, "elsewhere")
		}
		l.Entries = append(l.Entries, e)
		before = b
	}
	return l
}

func genHistory(t *rapid.T) *history.History {
	return &history.History{
		Lineage: genLineage(t), Votes: genBallots(t, 70),
		Floor: genBallot().Draw(t, "floor"), PurgedThrough: genBallot().Draw(t, "dropped"),
		Room: diskroom.Room(rapid.IntRange(0, int(diskroom.RoomNone)).Draw(t, "room")),
	}
}

func genBytes() *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), 0, 20) }

// genSome draws nil or at least one byte.
func genSome() *rapid.Generator[[]byte] {
	return rapid.Map(genBytes(), func(b []byte) []byte { return orNil(b) })
}

func genHeader(t *rapid.T) register.Header {
	return register.Header{
		Type:     register.Type(rapid.IntRange(0, int(register.Stream)).Draw(t, "type")),
		Encoding: rapid.Byte().Draw(t, "encoding"),
		Expiry:   rapid.Int64().Draw(t, "expiry"),
		Size:     rapid.Uint64().Draw(t, "size"),
		Aux:      genSome().Draw(t, "aux"),
	}
}

func genChange(t *rapid.T) register.Change {
	c := register.Change{Kind: register.ChangeKind(rapid.IntRange(0, 2).Draw(t, "kind"))}
	if c.Kind == register.None {
		return c
	}
	c.Header = genHeader(t)
	for range rapid.IntRange(0, 12).Draw(t, "ops") {
		op := register.Op{Kind: register.OpKind(rapid.IntRange(0, 2).Draw(t, "op")), Key: genBytes().Draw(t, "key")}
		if op.Kind == register.Patch {
			op.Offset = rapid.Uint32Range(0, maxOffset).Draw(t, "offset")
		}
		if op.Kind != register.Remove {
			op.Value = genBytes().Draw(t, "value")
		}
		c.Ops = append(c.Ops, op)
	}
	return c
}

func genProjection(t *rapid.T) register.Projection {
	if rapid.Bool().Draw(t, "all") {
		return register.Projection{All: true}
	}
	var p register.Projection
	for range rapid.IntRange(0, 3).Draw(t, "keys") {
		p.Keys = append(p.Keys, genBytes().Draw(t, "key"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		rg := register.Range{From: genBytes().Draw(t, "from")}
		if rapid.Bool().Draw(t, "ends") {
			rg.To = genBytes().Draw(t, "to")
		}
		rg.Reverse = rapid.Bool().Draw(t, "reverse")
		rg.Skip = rapid.SampledFrom([]uint64{0, 1, 1 << 40}).Draw(t, "skip")
		rg.Limit = rapid.IntRange(0, 1000).Draw(t, "limit")
		p.Ranges = append(p.Ranges, rg)
	}
	for range rapid.IntRange(0, 2).Draw(t, "counts") {
		p.Counts = append(p.Counts, genSpan(t))
	}
	return p
}

func genSpan(t *rapid.T) register.Span {
	s := register.Span{From: genBytes().Draw(t, "from")}
	if rapid.Bool().Draw(t, "ends") {
		s.To = genBytes().Draw(t, "to")
	}
	return s
}

// genKnown draws what a view knows: spans and absent keys are in order.
func genKnown(t *rapid.T) (k register.Knowledge) {
	if rapid.Bool().Draw(t, "all") {
		return register.Knowledge{All: true}
	}
	keys := rapid.SliceOfNDistinct(genBytes(), 0, 9, func(k []byte) string { return string(k) }).Draw(t, "known keys")
	slices.SortFunc(keys, slices.Compare)
	for len(keys) > 2 {
		k.Spans = append(k.Spans, register.Span{From: keys[0], To: keys[1]})
		keys = keys[2:]
	}
	k.Absent = keys
	if len(keys) == 0 {
		k.Absent = nil
	}
	for range rapid.IntRange(0, 2).Draw(t, "counts") {
		k.Counts = append(k.Counts, register.Count{Span: genSpan(t), N: rapid.Uint64().Draw(t, "n")})
	}
	return k
}

func genView(t *rapid.T) register.View {
	keys := rapid.SliceOfNDistinct(genBytes(), 0, 12, func(k []byte) string { return string(k) }).Draw(t, "keys")
	slices.SortFunc(keys, slices.Compare)
	var elems []register.Element
	for _, k := range keys {
		elems = append(elems, register.Element{Key: k, Value: genBytes().Draw(t, "value")})
	}
	return register.NewView(genHeader(t), genKnown(t), elems)
}

func genRegister() *rapid.Generator[register.ID] {
	return rapid.Custom(func(t *rapid.T) register.ID {
		return register.ID{
			Slot: rapid.Uint16Range(0, partition.Slots-1).Draw(t, "slot"),
			Key:  string(rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "key")),
		}
	})
}

func genRequest() *rapid.Generator[*message.Request] {
	return rapid.Custom(func(t *rapid.T) *message.Request {
		q := &message.Request{
			ID:       rapid.Uint64().Draw(t, "id"),
			Kind:     message.Kind(rapid.IntRange(1, 3).Draw(t, "kind")),
			Register: genRegister().Draw(t, "register"),
			Epoch:    rapid.Uint64().Draw(t, "epoch"),
		}
		if q.Kind == message.KindRead {
			q.Since = orNil(rapid.SliceOfN(genBallot(), 0, message.MaxSince).Draw(t, "since"))
		}
		if q.Kind == message.KindPrepare {
			q.Oldest = genBallot().Draw(t, "oldest")
		}
		if q.Kind != message.KindRead || q.Since != nil {
			q.Ballot = genBallot().Draw(t, "ballot")
		}
		if q.Kind != message.KindAccept {
			q.WantState = rapid.Bool().Draw(t, "state")
			q.WantHistory = rapid.Bool().Draw(t, "history")
			q.WantLarge = rapid.Bool().Draw(t, "large")
			q.Projection = genProjection(t)
			return q
		}
		q.Prepared = rapid.Bool().Draw(t, "prepared")
		q.Base = genBallot().Draw(t, "base")
		q.Piggyback = genBallot().Draw(t, "next")
		q.Needed = rapid.Bool().Draw(t, "needed")
		q.Change = genChange(t)
		if rapid.Bool().Draw(t, "with lineage") {
			l := genLineage(t)
			q.History = &l
		}
		return q
	})
}

func genOutcome(t *rapid.T) message.Outcome {
	return message.Outcome(rapid.IntRange(int(message.Promised), int(message.Unreachable)).Draw(t, "outcome"))
}

func genReply() *rapid.Generator[*message.Reply] {
	return rapid.Custom(func(t *rapid.T) *message.Reply {
		p := &message.Reply{
			ID: rapid.Uint64().Draw(t, "id"), Outcome: genOutcome(t),
			Epoch:    rapid.Uint64().Draw(t, "epoch"),
			Promise:  genBallot().Draw(t, "promise"),
			Granted:  rapid.Bool().Draw(t, "granted"),
			Accepted: genBallot().Draw(t, "accepted"),
			Prepared: rapid.Bool().Draw(t, "prepared"),
			Held:     time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "held")),
		}
		if rapid.Bool().Draw(t, "with intent") {
			p.Intent = genBytes().Draw(t, "intent")
		}
		if rapid.Bool().Draw(t, "with history") {
			p.History = genHistory(t)
		}
		if rapid.Bool().Draw(t, "with state") {
			p.HasState, p.View = true, genView(t)
		}
		switch p.Outcome {
		case message.Nacked:
			p.Never = rapid.Bool().Draw(t, "never")
		case message.Acked:
			p.Shared = rapid.Bool().Draw(t, "shared")
		case message.StaleBase:
			p.UndoTargets = orNil(rapid.SliceOfN(genBallot(), 0, message.MaxUndoTargets).Draw(t, "back"))
		case message.DeltasOK:
			p.DeltaRange = &message.DeltaRange{On: genSomeBallot().Draw(t, "on"), To: genSomeBallot().Draw(t, "to"), Lineage: genLineage(t), Change: genChange(t)}
			if p.DeltaRange.Change.Kind == register.Full {
				p.DeltaRange.Change.Kind = register.Delta
			}
		}
		return p
	})
}

func genSlots(t *rapid.T) (first, last uint16, space byte) {
	a := rapid.Uint16Range(0, partition.Slots-1).Draw(t, "slot")
	b := rapid.Uint16Range(0, partition.Slots-1).Draw(t, "slot")
	return min(a, b), max(a, b), rapid.Byte().Draw(t, "space")
}

func genFlushRequest() *rapid.Generator[*message.FlushRequest] {
	return rapid.Custom(func(t *rapid.T) *message.FlushRequest {
		q := &message.FlushRequest{ID: rapid.Uint64().Draw(t, "id"), Ballot: genBallot().Draw(t, "ballot"), Epoch: rapid.Uint64().Draw(t, "epoch")}
		q.First, q.Last, q.Space = genSlots(t)
		q.Space = min(q.Space, register.RecordSpace-1)
		return q
	})
}

func genFlushReply() *rapid.Generator[*message.FlushReply] {
	return rapid.Custom(func(t *rapid.T) *message.FlushReply {
		return &message.FlushReply{
			ID: rapid.Uint64().Draw(t, "id"), Outcome: genOutcome(t), Epoch: rapid.Uint64().Draw(t, "epoch"),
			Promise: genBallot().Draw(t, "promise"), Incomplete: rapid.Bool().Draw(t, "incomplete"),
			Refused: orNil(rapid.SliceOfN(genRegister(), 0, 9).Draw(t, "refused")),
		}
	})
}

func genListRequest() *rapid.Generator[*listing.Request] {
	return rapid.Custom(func(t *rapid.T) *listing.Request {
		q := &listing.Request{
			ID: rapid.Uint64().Draw(t, "id"), Epoch: rapid.Uint64().Draw(t, "epoch"),
			From: rapid.Uint64Range(0, 1<<48).Draw(t, "from"), Limit: rapid.IntRange(0, maxListed).Draw(t, "limit"),
		}
		q.First, q.Last, q.Space = genSlots(t)
		return q
	})
}

func genListReply() *rapid.Generator[*listing.Reply] {
	listed := rapid.Custom(func(t *rapid.T) listing.Entry {
		return listing.Entry{
			Register: genRegister().Draw(t, "register"), Hash: rapid.Uint64Range(0, 1<<48-1).Draw(t, "hash"),
			Accepted: genBallot().Draw(t, "accepted"), Type: uint8(rapid.IntRange(0, int(register.Stream)).Draw(t, "type")),
			Expiry: rapid.Int64().Draw(t, "expiry"),
		}
	})
	return rapid.Custom(func(t *rapid.T) *listing.Reply {
		return &listing.Reply{
			ID: rapid.Uint64().Draw(t, "id"), Outcome: genOutcome(t), Epoch: rapid.Uint64().Draw(t, "epoch"),
			Done: rapid.Bool().Draw(t, "done"), NextSlot: rapid.Uint16Range(0, partition.Slots-1).Draw(t, "slot"),
			NextHash: rapid.Uint64Range(0, 1<<48).Draw(t, "hash"), Reads: rapid.Uint64().Draw(t, "reads"), Votes: rapid.Uint64().Draw(t, "votes"),
			Entries: orNil(rapid.SliceOfN(listed, 0, 9).Draw(t, "entries")),
		}
	})
}

func genLogEntry() *rapid.Generator[durable.LogEntry] {
	return rapid.Custom(func(t *rapid.T) durable.LogEntry {
		switch rapid.IntRange(0, 3).Draw(t, "entry") {
		case 0:
			q := genRequest().Filter(func(q *message.Request) bool { return q.Kind == message.KindAccept }).Draw(t, "accept")
			q.ID, q.Piggyback, q.Needed = 0, ballot.Ballot{}, false
			return durable.LogEntry{Accept: q}
		case 1:
			return durable.LogEntry{Node: &durable.NodeState{
				Floor: genBallot().Draw(t, "floor"), Ceiling: ballot.Time(rapid.Uint64().Draw(t, "ceiling")),
				PurgedThrough: genBallot().Draw(t, "dropped"),
			}}
		case 2:
			e := &durable.EpochTaken{Epoch: rapid.Uint64().Draw(t, "epoch"), Met: rapid.Bool().Draw(t, "met")}
			e.First, e.Last, _ = genSlots(t)
			return durable.LogEntry{Epoch: e}
		}
		v := &durable.FlushVote{Ballot: genBallot().Draw(t, "ballot"), Parts: rapid.Uint32Range(1, 1<<32-1).Draw(t, "parts")}
		v.Part = rapid.Uint32Range(0, v.Parts-1).Draw(t, "part")
		v.First, v.Last, v.Space = genSlots(t)
		v.Except = orNil(rapid.SliceOfN(genRegister(), 0, 9).Draw(t, "except"))
		return durable.LogEntry{Flush: v}
	})
}

func genRecord() *rapid.Generator[*durable.Record] {
	return rapid.Custom(func(t *rapid.T) *durable.Record {
		rec := &durable.Record{
			Accepted: genBallot().Draw(t, "accepted"), Prepared: rapid.Bool().Draw(t, "prepared"),
			Lineage: genLineage(t), Votes: genBallots(t, 70), Header: genHeader(t),
		}
		if rapid.Bool().Draw(t, "with intent") {
			rec.Intent = genBytes().Draw(t, "intent")
		}
		return rec
	})
}

func genTallyRequest() *rapid.Generator[*listing.TallyRequest] {
	return rapid.Custom(func(t *rapid.T) *listing.TallyRequest {
		q := &listing.TallyRequest{
			ID: rapid.Uint64().Draw(t, "id"), Epoch: rapid.Uint64().Draw(t, "epoch"),
			Databases: partition.DatabaseSet(rapid.Uint16().Draw(t, "databases")),
		}
		for next := 0; len(q.Spans) < 9 && next < partition.Slots && rapid.Bool().Draw(t, "another"); {
			first := rapid.IntRange(next, partition.Slots-1).Draw(t, "first")
			last := rapid.IntRange(first, partition.Slots-1).Draw(t, "last")
			q.Spans = append(q.Spans, partition.SlotSpan{First: uint16(first), Last: uint16(last)})
			next = last + 1
		}
		return q
	})
}

func genTallyReply() *rapid.Generator[*listing.TallyReply] {
	return rapid.Custom(func(t *rapid.T) *listing.TallyReply {
		p := &listing.TallyReply{ID: rapid.Uint64().Draw(t, "id"), Outcome: genOutcome(t), Epoch: rapid.Uint64().Draw(t, "epoch")}
		for span := uint16(0); len(p.Tallies) < 9 && rapid.Bool().Draw(t, "another"); span++ {
			one := listing.Tallied{Span: span, Database: byte(rapid.IntRange(0, partition.Databases-1).Draw(t, "database"))}
			one.Keys, one.Digest = rapid.Uint64().Draw(t, "keys"), rapid.Uint64().Draw(t, "digest")
			if one.Expiring = rapid.Uint64Range(0, one.Keys).Draw(t, "expiring"); one.Expiring > 0 {
				one.Expiry = rapid.Int64().Draw(t, "expiry")
			}
			p.Tallies = append(p.Tallies, one)
		}
		return p
	})
}
