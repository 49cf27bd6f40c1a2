package command

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/stream"
)

func TestStreamEntries(t *testing.T) {
	play(t, `
		XADD s * f v => $15 1700000000000-0
		XADD s * f v => $15 1700000000000-1
		@+5
		XADD s * f v => $15 1700000000005-0
		XADD s 1700000000005-* f v => $15 1700000000005-1
		XADD s 1800000000000-7 f v => $15 1800000000000-7
		XADD s * f v => $15 1800000000000-8
		XLEN s => :6
		DEL s => :1
		XADD s NOMKSTREAM * f v => _
		XADD s 0-0 f v => -ERR The ID specified in XADD must be greater than 0-0
		XADD s 0-* f v => $3 0-1
		XADD s 0-1 f v => -ERR The ID specified in XADD is equal or smaller than the target stream top item
		XADD s 5 a 1 b 2 => $3 5-0
		XADD s 5-* f v g => -ERR wrong number of arguments for 'xadd' command
		XADD s 5-* f w => $3 5-1
		XADD s 5-18446744073709551615 f w => $22 5-18446744073709551615
		XADD s 5-* f w => -ERR The ID specified in XADD is equal or smaller than the target stream top item
		XADD s MAXLEN 3 7-1 f x => $3 7-1
		XRANGE s - + => *3 *2 $3 5-1 *2 $1 f $1 w *2 $22 5-18446744073709551615 *2 $1 f $1 w *2 $3 7-1 *2 $1 f $1 x
		XRANGE s 5 (7 COUNT 1 => *1 *2 $3 5-1 *2 $1 f $1 w
		XREVRANGE s (7-1 5 COUNT 1 => *1 *2 $22 5-18446744073709551615 *2 $1 f $1 w
		XRANGE s - + COUNT 0 => _
		XRANGE none - + COUNT 0 => *0
		XRANGE s (18446744073709551615-18446744073709551615 + => -ERR invalid start ID for the interval
		XRANGE s - (0-0 => -ERR invalid end ID for the interval
		XDEL s 5-1 5-1 6 => :1
		XREAD COUNT 5 STREAMS s none 0 0 => %1 $1 s *2 *2 $22 5-18446744073709551615 *2 $1 f $1 w *2 $3 7-1 *2 $1 f $1 x
		XREAD STREAMS s $ => _
		XREAD BLOCK 100 STREAMS s 7 => %1 $1 s *1 *2 $3 7-1 *2 $1 f $1 x
		XREAD BLOCK 100 STREAMS s $ => -ERR BLOCK is not supported by this version: there is nothing to read now
		XREAD BLOCK -1 STREAMS s 0 => -ERR timeout is negative
		XREAD BLOCK x STREAMS s 0 => -ERR timeout is not an integer or out of range
		XREAD BLOCK 9223372036854775807 STREAMS s 0 => -ERR timeout is out of range
		XREAD COUNT 1 => -ERR wrong number of arguments for 'xread' command
		XREAD COUNT 1 COUNT 2 => -ERR syntax error
		XREAD STREAMS s s 0 => -ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.
		XTRIM s MAXLEN 0 => :2
		XLEN s => :0
		TYPE s => +stream
		XINFO STREAM s => %10 $6 length :0 $15 radix-tree-keys :0 $16 radix-tree-nodes :1 $17 last-generated-id $3 7-1 $20 max-deleted-entry-id $3 5-1 $13 entries-added :5 $23 recorded-first-entry-id $3 0-0 $6 groups :0 $11 first-entry _ $10 last-entry _
		XSETID s 9-9 ENTRIESADDED 100 MAXDELETEDID 8-0 => +OK
		XADD s MAXLEN 0 9-* f v => $4 9-10
		XINFO STREAM s => %10 $6 length :0 $15 radix-tree-keys :0 $16 radix-tree-nodes :1 $17 last-generated-id $4 9-10 $20 max-deleted-entry-id $3 8-0 $13 entries-added :101 $23 recorded-first-entry-id $3 0-0 $6 groups :0 $11 first-entry _ $10 last-entry _
		XSETID s 18446744073709551615-18446744073709551615 => +OK
		XADD s * f v => -ERR The stream has exhausted the last possible ID, unable to add more items
	`)
}

func TestStreamGroups(t *testing.T) {
	play(t, `
		XGROUP CREATE s g $ => -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
		XGROUP CREATE s g $ MKSTREAM => +OK
		XGROUP CREATE s g 0 => -BUSYGROUP Consumer Group name already exists
		XREADGROUP GROUP g c STREAMS s > => _
		XREADGROUP GROUP g c BLOCK 0 STREAMS s > => -ERR BLOCK is not supported by this version: there is nothing to read now
		XREADGROUP GROUP g c STREAMS s t > > => -ERR XREADGROUP of several streams needs a transaction, which this version does not have: read them one by one
		XINFO CONSUMERS s g => *0
		XADD s 1-1 f 1 => $3 1-1
		XADD s 1-2 f 2 => $3 1-2
		XADD s 1-3 f 3 => $3 1-3
		XREADGROUP GROUP g c COUNT 1 STREAMS s > => %1 $1 s *1 *2 $3 1-1 *2 $1 f $1 1
		XREADGROUP GROUP g d COUNT 1 STREAMS s > => %1 $1 s *1 *2 $3 1-2 *2 $1 f $1 2
		XREADGROUP GROUP g d NOACK STREAMS s > => %1 $1 s *1 *2 $3 1-3 *2 $1 f $1 3
		XINFO GROUPS s => *1 %6 $4 name $1 g $9 consumers :2 $7 pending :2 $17 last-delivered-id $3 1-3 $12 entries-read :3 $3 lag :0
		XPENDING s g => *4 :2 $3 1-1 $3 1-2 *2 *2 $1 c $1 1 *2 $1 d $1 1
		@+100
		XPENDING s g - + 10 => *2 *4 $3 1-1 $1 c :100 :1 *4 $3 1-2 $1 d :100 :1
		XREADGROUP GROUP g c STREAMS s 0 => %1 $1 s *1 *2 $3 1-1 *2 $1 f $1 1
		@+10
		XPENDING s g IDLE 50 - + 10 => *1 *4 $3 1-2 $1 d :110 :1
		XPENDING s g - + 10 c => *1 *4 $3 1-1 $1 c :10 :2
		XPENDING s g - + 10 none => *0
		XCLAIM s g d 50 1-1 1-2 1-3 => *1 *2 $3 1-2 *2 $1 f $1 2
		XCLAIM s g e 0 1-3 FORCE JUSTID => *1 $3 1-3
		XCLAIM s g e 0 1-1 RETRYCOUNT 7 IDLE 5 => *1 *2 $3 1-1 *2 $1 f $1 1
		XPENDING s g - + 10 => *3 *4 $3 1-1 $1 e :5 :7 *4 $3 1-2 $1 d :0 :2 *4 $3 1-3 $1 e :0 :1
		XDEL s 1-2 => :1
		XREADGROUP GROUP g d STREAMS s 0 => %1 $1 s *1 *2 $3 1-2 _
		XAUTOCLAIM s g c 0 0 COUNT 2 JUSTID => *3 $3 1-3 *1 $3 1-1 *1 $3 1-2
		XAUTOCLAIM s g c 0 1-3 => *3 $3 0-0 *1 *2 $3 1-3 *2 $1 f $1 3 *0
		XACK s g 1-1 1-1 1-2 => :1
		XPENDING s g => *4 :1 $3 1-3 $3 1-3 *1 *2 $1 c $1 1
		XGROUP SETID s g 0 => +OK
		XREADGROUP GROUP g d STREAMS s > => %1 $1 s *2 *2 $3 1-1 *2 $1 f $1 1 *2 $3 1-3 *2 $1 f $1 3
		XPENDING s g => *4 :2 $3 1-1 $3 1-3 *1 *2 $1 d $1 2
		XGROUP DELCONSUMER s g d => :2
		XPENDING s g => *4 :0 _ _ _
		XGROUP CREATECONSUMER s g f => :1
		XGROUP CREATECONSUMER s g f => :0
		XINFO STREAM s FULL COUNT 1 => %9 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 1-3 $20 max-deleted-entry-id $3 1-2 $13 entries-added :3 $23 recorded-first-entry-id $3 1-1 $7 entries *1 *2 $3 1-1 *2 $1 f $1 1 $6 groups *1 %7 $4 name $1 g $17 last-delivered-id $3 1-3 $12 entries-read :3 $3 lag :0 $9 pel-count :0 $7 pending *0 $9 consumers *3 %4 $4 name $1 c $9 seen-time :1700000000110 $9 pel-count :0 $7 pending *0 %4 $4 name $1 e $9 seen-time :1700000000110 $9 pel-count :0 $7 pending *0 %4 $4 name $1 f $9 seen-time :1700000000110 $9 pel-count :0 $7 pending *0
		XGROUP DESTROY s g => :1
		XGROUP DESTROY s g => :0
		XGROUP SETID s g 0 => -NOGROUP No such consumer group 'g' for key name 's'
		XREADGROUP GROUP g c STREAMS s > => -NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
		XREADGROUP GROUP "g\r\n" c STREAMS s > => -NOGROUP No such key 's' or consumer group 'g  ' in XREADGROUP with GROUP option
		XCLAIM s g c 0 1-1 => -NOGROUP No such key 's' or consumer group 'g'
		XACK s g 1-1 => :0
		SET str x => +OK
		XACK str g 1 => `+wrongType+`
		XREAD STREAMS s str 0 0 => `+wrongType+`
		XREADGROUP GROUP g c STREAMS str > => `+wrongType+`
		XGROUP CREATE str g 0 MKSTREAM => `+wrongType+`
	`)
}

// TestActiveTime checks that a consumer is active when it receives entries, and
// seen also when it asks for entries that it already has.
func TestActiveTime(t *testing.T) {
	m := play(t, `
		XADD s 1-1 f v => $3 1-1
		XGROUP CREATE s g 0 => +OK
		XGROUP CREATECONSUMER s g c => :1
		XREADGROUP GROUP g d STREAMS s > => %1 $1 s *1 *2 $3 1-1 *2 $1 f $1 v
		@+7
		XREADGROUP GROUP g d STREAMS s 0 => %1 $1 s *1 *2 $3 1-1 *2 $1 f $1 v
	`)
	start := m.now - 7
	want := []stream.Consumer{{Name: []byte("c"), Seen: start, Active: -1}, {Name: []byte("d"), Seen: m.now, Active: start}}
	if got := stream.Read(m.keys["s"]).Groups[0].Consumers; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// longStream returns a stream of entries 1-0, 2-0 and so on, and a group in
// which half of them are pending, most of them for one consumer.
func longStream() register.View {
	value := stream.Value{Last: stream.ID{MS: large}, Added: large}
	g := stream.Group{Name: []byte("g"), Last: stream.ID{MS: large / 2}, Read: large / 2}
	for i := range uint64(large) {
		id := stream.ID{MS: i + 1}
		value.Entries = append(value.Entries, stream.Entry{ID: id, Fields: [][]byte{[]byte("field"), []byte("value")}})
		if i < large/2 {
			name := []byte("c")
			if i%100 == 99 {
				name = []byte("d")
			}
			g.Pending = append(g.Pending, stream.Pending{ID: id, Consumer: name, Time: 1_600_000_000_000, Count: 1})
		}
	}
	value.Groups = []stream.Group{g, {Name: []byte("h"), Last: value.Last, Read: large}}
	header, ops := stream.Build(value)
	return register.Nothing().Apply(register.Change{Kind: register.Full, Header: header, Ops: ops})
}

// TestCostOfStreams checks that a command on a long stream reads and changes
// only what it needs.
func TestCostOfStreams(t *testing.T) {
	v := longStream()
	checkCosts(t, v, map[string]cost{
		"XADD k * field value":                        {1, 0, 160},
		"XADD k MAXLEN 20000 * field value":           {1, 3, 250},
		"XADD k MAXLEN ~ 20000 * field value":         {1, 1, 160},
		"XADD k MAXLEN ~ 19000 LIMIT 100 * f v":       {3, 115, 3000},
		"XADD k MINID 10 * f v":                       {2, 103, 600},
		"XLEN k":                                      {1, 0, 32},
		"XRANGE k 10000 + COUNT 3":                    {1, 3, 32},
		"XREVRANGE k 10000 - COUNT 3":                 {1, 3, 32},
		"XRANGE k 10000 10004":                        {1, 5, 32},
		"XDEL k 500 1000":                             {1, 8, 500},
		"XDEL k 1-0":                                  {1, 5, 250},
		"XDEL k 20000":                                {1, 5, 250},
		"XTRIM k MAXLEN ~ 19900":                      {3, 103, 5000},
		"XSETID k 30000":                              {1, 1, 120},
		"XACK k g 500 none":                           {1, 2, 32},
		"XACK k g 500 501":                            {2, 5, 300},
		"XCLAIM k g d 0 500":                          {2, 5, 350},
		"XCLAIM k g e 0 500 15000 FORCE JUSTID":       {2, 8, 500},
		"XAUTOCLAIM k g d 0 3000 COUNT 3":             {2, 12, 700},
		"XPENDING k g":                                {1, 5, 32},
		"XPENDING k g - + 10":                         {1, 11, 32},
		"XPENDING k g 3000 + 10 d":                    {2, 21, 32},
		"XGROUP CREATE k new $":                       {1, 1, 150},
		"XGROUP SETID k g 7":                          {1, 1, 150},
		"XGROUP CREATECONSUMER k g e":                 {1, 2, 250},
		"XGROUP DESTROY k h":                          {1, 2, 150},
		"XINFO STREAM k":                              {1, 130, 32},
		"XINFO GROUPS k":                              {1, 2, 32},
		"XINFO CONSUMERS k g":                         {1, 3, 32},
		"XINFO STREAM k FULL":                         {4, 300, 32},
		"XRANGE k - + COUNT 5 COUNT 9223372036854775": {1, large, 32},
	})
	for request, most := range map[string]cost{
		"XREAD COUNT 3 STREAMS k 10000":                     {1, 3, 32},
		"XREAD STREAMS k $":                                 {1, 0, 32},
		"XREAD STREAMS k 19990":                             {1, 10, 32},
		"XREADGROUP GROUP g c COUNT 3 STREAMS k >":          {2, 6, 600},
		"XREADGROUP GROUP g new COUNT 3 STREAMS k >":        {2, 6, 600},
		"XREADGROUP GROUP g c COUNT 3 NOACK STREAMS k >":    {2, 5, 250},
		"XREADGROUP GROUP g c COUNT 3 STREAMS k 500":        {2, 11, 500},
		"XREADGROUP GROUP h c COUNT 1000000000 STREAMS k >": {2, 2, 32},
	} {
		args := splitWords(t, request)
		spec, _ := Resolve(args)
		s, err := spec.Split(args)
		if err != nil {
			t.Fatalf("%s: %s", request, err.Str)
		}
		if c := costOf(t, v, s.Ops[0]); c.rounds > most.rounds || c.elements > most.elements || c.change > most.change {
			t.Errorf("%s: %+v, at most %+v", request, c, most)
		}
	}
}

// TestTrimmingInARow checks that consecutive XADDs to a stream of fixed length
// use what the first one fetched, even across nodes.
func TestTrimmingInARow(t *testing.T) {
	for _, near := range []string{"=", "~"} {
		args := splitWords(t, "XADD k MAXLEN "+near+" 20000 * f v")
		op, _ := Lookup(args[0]).Key(args)
		v := longStream()
		v = v.Project(op.(operation.Prefetcher).Prefetch(250))
		for range 99 {
			e := op.Execute(v, 1_700_000_000_000)
			if e.Need != nil {
				t.Fatalf("%s needs more: %+v", near, *e.Need)
			}
			v = v.Apply(e.Change)
		}
		if want := map[string]uint64{"=": large, "~": large + 99}[near]; v.Header.Size != want {
			t.Errorf("%s: %d entries, want %d", near, v.Header.Size, want)
		}
	}
}

// TestLongStream removes a long stream's entries from its front, end and
// middle.
func TestLongStream(t *testing.T) {
	m := newMachine(t)
	m.keys["k"] = longStream()
	for _, c := range []struct{ request, want string }{
		{"XTRIM k MAXLEN ~ 19950", ":0"}, // nodes have a hundred entries
		{"XTRIM k MAXLEN ~ 19900", ":100"},
		{"XTRIM k MAXLEN ~ 0 LIMIT 250", ":200"},
		{"XTRIM k MINID 350", ":49"},
		{"XTRIM k MINID ~ 501", ":151"},
		{"XTRIM k MAXLEN ~ 0", ":10000"}, // the limit by default
		{"XTRIM k MAXLEN 1000", ":8500"},
		{"XADD k MINID ~ 19500 20001 f v", "$7 20001-0"},
		{"XLEN k", ":601"},
		{"XDEL k 20001 20000", ":2"},
		{"XADD k MAXLEN = 1 20001-1 f v", "$7 20001-1"},
		{"XINFO STREAM k", "*20 $6 length :1 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $7 20001-1 $20 max-deleted-entry-id $7 20001-0 $13 entries-added :20002 " +
			"$23 recorded-first-entry-id $7 20001-1 $6 groups :2 $11 first-entry *2 $7 20001-1 *2 $1 f $1 v $10 last-entry *2 $7 20001-1 *2 $1 f $1 v"},
		{"XPENDING k g", "*4 :10000 $3 1-0 $7 10000-0 *2 *2 $1 c $4 9900 *2 $1 d $3 100"},
		{"XAUTOCLAIM k g d 0 9000 COUNT 2", "*3 $6 9002-0 *0 *2 $6 9000-0 $6 9001-0"},
		{"XPENDING k g IDLE 1 9000 + 1 d", "*1 *4 $6 9100-0 $1 d :100000000000 :1"},
		{"XGROUP DELCONSUMER k g c", ":9899"}, // one of the two removed ones was pending for d
		{"XPENDING k g", "*4 :99 $5 100-0 $7 10000-0 *1 *2 $1 d $2 99"},
	} {
		got := string(m.do(splitWords(t, c.request)...).AppendTo(nil, 2))
		if got = strings.TrimSpace(strings.ReplaceAll(got, "\r\n", " ")); got != c.want {
			t.Errorf("%s: %s, want %s", c.request, got, c.want)
		}
	}
}

// TestHostileStreams checks that impossible arguments cost nothing.
func TestHostileStreams(t *testing.T) {
	m := newMachine(t)
	m.text("XADD", "s", "1-1", "f", "v")
	m.text("XGROUP", "CREATE", "s", "g", "0")
	for _, request := range []string{
		"XRANGE s - + COUNT 9223372036854775807", "XREAD COUNT 9223372036854775807 STREAMS s 0", "XREADGROUP GROUP g c COUNT 9223372036854775807 STREAMS s >",
		"XPENDING s g - + 9223372036854775807", "XPENDING s g IDLE 9223372036854775807 - + 9223372036854775807 c", "XAUTOCLAIM s g c 9223372036854775807 0 COUNT 576460752303423487",
		"XAUTOCLAIM s g c 0 18446744073709551615-18446744073709551615 COUNT 576460752303423487", "XTRIM s MAXLEN ~ 9223372036854775807 LIMIT 9223372036854775807",
		"XINFO STREAM s FULL COUNT 9223372036854775807", "XCLAIM s g c -9223372036854775808 1-1 IDLE -9223372036854775808", "XCLAIM s g c 0 1-1 TIME -9223372036854775808",
		"XPENDING s g IDLE -9223372036854775808 18446744073709551615-18446744073709551615 0 1", "XGROUP SETID s g + ENTRIESREAD 9223372036854775807",
		"XREADGROUP GROUP g c STREAMS s >", "XREADGROUP GROUP g c STREAMS s 18446744073709551615-18446744073709551615", "XTRIM s MINID 18446744073709551615-18446744073709551615",
	} {
		if reply := m.do(splitWords(t, request)...); reply.IsError() {
			t.Errorf("%s: %s", request, reply.Str)
		}
	}
}

// TestBrokenStream checks that commands survive data that no command writes.
func TestBrokenStream(t *testing.T) {
	h, ops := stream.Build(stream.Value{Groups: []stream.Group{{Name: []byte("g"), Pending: []stream.Pending{{ID: stream.ID{MS: 1}, Consumer: []byte("nobody")}}}}})
	v := register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
	m := newMachine(t)
	m.keys["s"] = v
	if got := m.text("XPENDING", "s", "g").Elems[0].Int; got != 1 {
		t.Errorf("%d are pending, want 1", got)
	}
	if got := m.text("XGROUP", "DELCONSUMER", "s", "g", "nobody").Int; got != 1 {
		t.Errorf("%d were pending, want 1", got)
	}
}

func TestStreamHelpIsRedis(t *testing.T) {
	p := startRedis(t).dial(3, 0)
	for _, request := range []string{
		"XGROUP HELP", "XINFO HELP", "XGROUP", "XINFO", "XINFO STREAM", "XGROUP nope k", "COMMAND GETKEYS XREAD COUNT 2 STREAMS a b 0 0", "COMMAND GETKEYS XREAD COUNT 2 streams a b 0 0 0",
		"COMMAND GETKEYSANDFLAGS XREADGROUP GROUP g c STREAMS a 0", "COMMAND GETKEYS XREAD COUNT 2 a b 0", "COMMAND GETKEYS XINFO STREAM a FULL", "COMMAND GETKEYS XREAD COUNT 1 STREAMS",
	} {
		args := splitWords(t, request)
		if got, want := newMachine(t).do(args...).AppendTo(nil, 3), p.do(args...); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", request, got, want)
		}
	}
}

// BenchmarkStreams measures the proxy's cost of commands on a long stream.
func BenchmarkStreams(b *testing.B) {
	v := longStream()
	for _, request := range []string{"XADD k * field value", "XADD k MAXLEN ~ 20000 * field value", "XRANGE k 10000 + COUNT 10"} {
		b.Run(strings.Fields(request)[0], func(b *testing.B) {
			args := splitWords(b, request)
			spec, _ := Resolve(args)
			var last operation.Effect
			for b.Loop() {
				op, _ := spec.Key(args)
				last = op.Execute(v, 1_700_000_000_000)
			}
			if last.Result.(*resp.Value).IsError() {
				b.Fatal("an error")
			}
		})
	}
}
