package commandtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// poll reports whether the condition became true in time.
func poll(condition func() bool) bool {
	const patience, every = 30 * time.Second, 5 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if condition() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// drawnFrom checks that members drawn at random on one server exist on the
// other.
func drawnFrom(e *Exchange) string {
	want, have := parse(e.Want), parse(e.Have)
	if want.Kind != have.Kind || want.Null != have.Null || len(want.Elems) != len(have.Elems) {
		return "the shapes differ"
	}
	var request [][]byte
	name := strings.ToLower(string(e.Args[0]))
	pairs := len(e.Args) == 4 // WITHSCORES, WITHVALUES
	drawn, values := have.split(pairs)
	if len(drawn) == 0 {
		return ""
	}
	if len(e.Args) > 2 && e.Args[2][0] != '-' && twice(drawn) {
		return "the same twice"
	}
	switch name {
	case "randomkey":
		request = append(Words("EXISTS"), drawn...)
	case "srandmember":
		request = append([][]byte{[]byte("SMISMEMBER"), e.Args[1]}, drawn...)
	case "hrandfield":
		request = append([][]byte{[]byte("HMGET"), e.Args[1]}, drawn...)
	case "zrandmember":
		request = append([][]byte{[]byte("ZMSCORE"), e.Args[1]}, drawn...)
	}
	r, err := send(e.Redis, request)
	if err != nil {
		return err.Error()
	}
	for i, v := range r.Elems {
		if v.Null || string(v.raw) == ":0\r\n" || pairs && !bytes.Equal(v.Text, values[i]) {
			return fmt.Sprintf("redis has no %q", drawn[i])
		}
	}
	if name == "randomkey" && string(r.raw) != ":1\r\n" {
		return "redis has no such key"
	}
	return ""
}

// split returns the words of a reply; with pairs, every second word is a value.
func (r reply) split(pairs bool) (words, values [][]byte) {
	all := r.words()
	if !pairs {
		return all, nil
	}
	for i := 0; i+1 < len(all); i += 2 {
		words, values = append(words, all[i]), append(values, all[i+1])
	}
	return words, values
}

func twice(words [][]byte) bool {
	words = slices.Clone(words)
	slices.SortFunc(words, bytes.Compare)
	return len(slices.CompactFunc(words, bytes.Equal)) < len(words)
}

// popped checks that the popped members existed on both servers, and removes
// the other server's members from Redis.
func popped(e *Exchange) string {
	want, have := parse(e.Want), parse(e.Have)
	if want.Kind != have.Kind || want.Null != have.Null || len(want.Elems) != len(have.Elems) || twice(have.words()) {
		return "the shapes differ"
	}
	back, out := without(want.words(), have.words()), without(have.words(), want.words())
	if len(back) == 0 {
		return remade(e, have)
	}
	for _, took := range []struct {
		left    Server
		members [][]byte
	}{{e.Mine, back}, {e.Redis, out}} {
		r, err := send(took.left, append([][]byte{[]byte("SMISMEMBER"), e.Args[1]}, took.members...))
		if err != nil || len(r.Elems) != len(took.members) || bytes.Contains(r.raw, []byte(":0\r\n")) {
			return fmt.Sprintf("one took what the other had not: %.100q %v", took.members, err)
		}
	}
	for _, request := range [][][]byte{
		append([][]byte{[]byte("SADD"), e.Args[1]}, back...), append([][]byte{[]byte("SREM"), e.Args[1]}, out...),
	} {
		if _, err := send(e.Redis, request); err != nil {
			return err.Error()
		}
	}
	return remade(e, have)
}

// remade rewrites a set after several members were popped. Redis rebuilds a
// small remaining set, possibly as an intset.
func remade(e *Exchange, popped reply) string {
	if len(e.Args) < 3 || len(popped.Elems) == 0 {
		return ""
	}
	key := string(e.Args[1])
	dump, err1 := ask(e.Mine, "DUMP", key)
	expiry, err2 := ask(e.Mine, "PEXPIRETIME", key)
	if err := errors.Join(err1, err2); err != nil || dump.Null {
		return text(err)
	}
	ttl := "0"
	if expiry.Text[0] != '-' {
		ttl = string(expiry.Text)
	}
	_, err1 = ask(e.Mine, "RESTORE", key, ttl, string(dump.Text), "REPLACE", "ABSTTL")
	_, err2 = ask(e.Redis, "RESTORE", key, ttl, string(dump.Text), "REPLACE", "ABSTTL")
	return text(errors.Join(err1, err2))
}

// text is what is wrong, or "".
func text(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// without returns the words that are not among the others.
func without(words, others [][]byte) [][]byte {
	have := map[string]bool{}
	for _, w := range others {
		have[string(w)] = true
	}
	return slices.DeleteFunc(slices.Clone(words), func(w []byte) bool { return have[string(w)] })
}

// added compares the IDs of new entries. If they come from the servers' clocks,
// the stream is deleted.
func added(e *Exchange) string {
	want, have := parse(e.Want), parse(e.Have)
	equal := want.equal(have)
	if !isID(want) || !isID(have) {
		if equal {
			return ""
		}
		return "they differ"
	}
	now := time.Now().UnixMilli()
	ms1, ms2 := millisOf(want.Text), millisOf(have.Text)
	const day = 24 * 3600 * 1000
	if ms1 < now-day || ms1 > now+day {
		if equal {
			return ""
		}
		return "they differ"
	}
	if d := ms1 - ms2; d < -clockSlack || d > clockSlack {
		return "the times are far apart"
	}
	for _, s := range []Server{e.Redis, e.Mine} {
		if _, err := s.Send([]byte("DEL"), e.Args[1]); err != nil {
			return err.Error()
		}
	}
	return ""
}

func millisOf(id []byte) int64 {
	ms, _, _ := bytes.Cut(id, []byte("-"))
	n, _ := strconv.ParseInt(string(ms), 10, 64)
	return n
}

// wholeScan completes both walks and compares the results. The servers' cursors
// are unrelated.
func wholeScan(e *Exchange) string {
	at := 1
	if !strings.EqualFold(string(e.Args[0]), "SCAN") {
		at = 2
	}
	if n, err := strconv.ParseUint(string(e.Args[at]), 10, 64); err != nil || n != 0 {
		return kindOnly(e)
	}
	group := 1
	if name := strings.ToUpper(string(e.Args[0])); name == "HSCAN" || name == "ZSCAN" {
		group = 2
	}
	want, err1 := walked(e.Redis, e.Args, at, parse(e.Want), group)
	have, err2 := walked(e.Mine, e.Args, at, parse(e.Have), group)
	if err1 != nil || err2 != nil {
		return fmt.Sprintf("redis: %v, synod: %v", err1, err2)
	}
	if !slices.EqualFunc(want, have, bytes.Equal) {
		return fmt.Sprintf("redis has %d, %.500q, synod %d, %.500q", len(want), want, len(have), have)
	}
	return ""
}

// walked returns everything that a walk finds, without duplicates, given its
// first reply.
func walked(s Server, args [][]byte, at int, r reply, group int) ([][]byte, error) {
	const most = 1_000_000 // steps
	args = slices.Clone(args)
	var found [][]byte
	for range most {
		if r.Kind != '*' || len(r.Elems) != 2 {
			return nil, fmt.Errorf("no reply to a scan: %.100q", r.raw)
		}
		found = append(found, r.Elems[1].sorted(group)...)
		if string(r.Elems[0].Text) == "0" {
			slices.SortFunc(found, bytes.Compare)
			return slices.CompactFunc(found, bytes.Equal), nil
		}
		args[at] = r.Elems[0].Text
		var err error
		if r, err = send(s, args); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("a scan without an end")
}

// uncount reverts PFCOUNT's effect in Redis, which writes the estimate into the
// value although PFCOUNT is a read.
func uncount(e *Exchange) string {
	if len(e.Args) != 2 || e.Want[0] != ':' {
		return ""
	}
	const at, none = "8", "\x00\x00\x00\x00\x00\x00\x00\x80"
	for _, s := range []Server{e.Redis, e.Mine} {
		r, err := ask(s, "EXISTS", string(e.Args[1]))
		if err == nil && string(r.raw) == ":1\r\n" {
			_, err = ask(s, "SETRANGE", string(e.Args[1]), at, none)
		}
		if err != nil {
			return err.Error()
		}
	}
	return ""
}

// sortedSame compares SORT replies: items with equal sort keys have no defined
// order, nor does an unsorted set.
func sortedSame(e *Exchange) string {
	group := 0 // one for each GET
	for _, a := range e.Args[2 : len(e.Args)-1] {
		if strings.EqualFold(string(a), "GET") {
			group++
		}
	}
	want := parse(e.Want)
	loose := word(e.Args, "BY") || word(e.Args, "ALPHA") && bytes.ContainsRune(e.Want, 0)
	if group = max(1, group); !loose || len(want.Elems)%group != 0 {
		return "they differ"
	}
	return sameElements(want, parse(e.Have), group)
}

// unsort settles a SORT. Redis checks errno without clearing it, and so rejects
// valid numbers after an earlier number was out of range. The request is
// repeated after a command that resets errno.
func unsort(e *Exchange) string {
	if bytes.HasPrefix(e.Want, []byte("-ERR One or more scores")) && e.Have[0] != '-' {
		_, err1 := ask(e.Redis, "INCRBYFLOAT", spare, "1")
		_, err2 := ask(e.Redis, "DEL", spare)
		var err3 error
		e.Want, err3 = e.Redis.Send(e.Args...)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err.Error()
		}
	}
	return unpack(e)
}

// unpack reverts SORT's effect on a sorted set in Redis: even a read converts a
// small one from listpack.
func unpack(e *Exchange) string {
	key := string(e.Args[1])
	have, err1 := ask(e.Mine, "OBJECT", "ENCODING", key)
	want, err2 := ask(e.Redis, "OBJECT", "ENCODING", key)
	expiry, err3 := ask(e.Redis, "PEXPIRETIME", key)
	dump, err4 := ask(e.Redis, "DUMP", key)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err.Error()
	}
	if string(have.Text) != "listpack" || string(want.Text) != "skiplist" {
		return ""
	}
	ttl := "0"
	if expiry.Text[0] != '-' {
		ttl = string(expiry.Text)
	}
	if _, err := ask(e.Redis, "RESTORE", key, ttl, string(dump.Text), "REPLACE", "ABSTTL"); err != nil {
		return err.Error()
	}
	return ""
}

// spare is the key to which dumps are restored.
const spare = "spare"

// dumped restores each server's dump on the other server and compares the value
// to the original.
func dumped(e *Exchange) string {
	want, have := parse(e.Want), parse(e.Have)
	if want.Kind != have.Kind || want.Null != have.Null {
		return "the kinds differ"
	}
	if want.Null {
		return ""
	}
	for _, step := range []struct {
		s       Server
		payload []byte
	}{{e.Redis, have.Text}, {e.Mine, want.Text}} {
		r, err := send(step.s, [][]byte{[]byte("RESTORE"), []byte(spare), []byte("0"), step.payload, []byte("REPLACE")})
		if err != nil || r.Kind != '+' {
			return fmt.Sprintf("RESTORE of the other's: %s %v, payload %.300q", r.raw, err, step.payload)
		}
	}
	what := Inspect([]byte(spare), e.Redis, e.Mine)
	for _, s := range []Server{e.Redis, e.Mine} {
		if _, err := ask(s, "DEL", spare); err != nil {
			return err.Error()
		}
	}
	if what != "" {
		return "once restored: " + what
	}
	return ""
}

// whole lists the requests that show a value completely, by type.
var whole = map[string][]string{
	"+string": {"GET"}, "+hash": {"HGETALL", "HLEN"}, "+list": {"LRANGE 0 -1", "LLEN"}, "+set": {"SMEMBERS", "SCARD"},
	"+zset": {"ZRANGE 0 -1 WITHSCORES", "ZCARD"}, "+stream": {"XRANGE - +", "XINFO STREAM FULL COUNT 0"},
}

// Inspect compares everything at a key and returns what differs, or "".
func Inspect(key []byte, redis, mine Server) string {
	questions := []string{"TYPE", "OBJECT ENCODING", "PTTL"}
	if kind, err := send(redis, [][]byte{[]byte("TYPE"), key}); err != nil {
		return err.Error()
	} else if kind.Kind == '+' {
		questions = append(questions, whole["+"+string(kind.Text)]...)
	}
	for _, q := range questions {
		fields := strings.Fields(q)
		at := 1
		if fields[0] == "OBJECT" || fields[0] == "XINFO" {
			at = 2
		}
		args := slices.Insert(Words(fields...), at, key)
		want, err1 := redis.Send(args...)
		have, err2 := mine.Send(args...)
		if err1 != nil || err2 != nil {
			return fmt.Sprintf("redis: %v, synod: %v", err1, err2)
		}
		if what := Compare(&Exchange{Args: args, Want: want, Have: have, Redis: redis, Mine: mine}); what != "" {
			return fmt.Sprintf("%s: %s\n    redis: %s\n    synod: %s", q, what, Word(want), Word(have))
		}
	}
	return ""
}

// Vanish makes the value at a key (or a new one) expire soon and waits until it
// is gone. It returns what is wrong, or "".
func Vanish(key []byte, redis, mine Server) string {
	for _, s := range []Server{redis, mine} {
		r, err := send(s, [][]byte{[]byte("PEXPIRE"), key, []byte("20")})
		if err == nil && string(r.raw) == ":0\r\n" {
			_, err = send(s, [][]byte{[]byte("SET"), key, []byte("expires"), []byte("PX"), []byte("20")})
		}
		if err != nil {
			return err.Error()
		}
	}
	for _, s := range []Server{redis, mine} {
		if !poll(func() bool {
			r, err := send(s, [][]byte{[]byte("EXISTS"), key})
			return err != nil || string(r.raw) == ":0\r\n"
		}) {
			return "the key does not expire"
		}
	}
	return ""
}
