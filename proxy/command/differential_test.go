package command

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc64"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"synod/protocol/register"
)

var (
	differentialSeeds = flag.Int("seeds", 4, "sequences to compare with redis-server")
	differentialOnly  = flag.String("only", "", "compare only forms of commands with this in them")
	differentialFirst = flag.Uint64("seed", 1, "seed of the first sequence")
)

// sealed appends the checksum to a payload.
func sealed(payload string) string {
	table := crc64.MakeTable(bits.Reverse64(0xad93d23594c935a9))
	sum := ^crc64.Update(math.MaxUint64, table, []byte(payload))
	return payload + string(binary.LittleEndian.AppendUint64(nil, sum))
}

// TestSameAsRedis runs random commands on the table's functions and on a real
// Redis and compares each reply byte for byte, in both protocols.
func TestSameAsRedis(t *testing.T) {
	s := startRedis(t)
	two, three := s.dial(2, 0), s.dial(3, 1)
	for seed := *differentialFirst; seed < *differentialFirst+uint64(*differentialSeeds); seed++ {
		two.text("FLUSHALL")
		compare(t, seed, newScript(seed), two, three, 1500)
		if t.Failed() {
			return
		}
	}
}

func compare(t *testing.T, seed uint64, s script, two, three *peer, count int) {
	m := newMachine(t)
	peers := map[int]*peer{2: two, 3: three}
	var history []string
	for i := range count {
		if _, ok := m.keys["list"]; !ok {
			m.keys["list"] = register.NewView(register.Header{Type: register.List, Size: 1}, register.Knowledge{All: true}, nil)
			two.text("LPUSH", "list", "x")
			three.text("LPUSH", "list", "x")
		}
		args := s.next()
		if skip(args) || (strings.EqualFold(string(args[0]), "lcs") && len(args) > 2 && m.size(args[1])*m.size(args[2]) > 1e6) {
			continue
		}
		m.now = time.Now().UnixMilli()
		for _, args := range append([][][]byte{args}, followUp(m, args)...) {
			mine := m.do(args...)
			history = append(history, fmt.Sprintf("%.300q", args))
			for version, p := range peers {
				got, want := mine.AppendTo(nil, version), p.do(args...)
				if !same(args, got, want) {
					t.Errorf("seed %d, command %d, RESP%d: %.500q\n got %.700q\nwant %.700q\nafter %s", seed, i, version, args, got, want,
						strings.Join(related(history[:len(history)-1], args), "\n      "))
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

// followUp returns a command to compare besides a command's reply: it shows the
// new value. A value that expires soon is made persistent, because Redis and
// the machine would not delete it at the same moment.
func followUp(m *machine, args [][]byte) [][][]byte {
	spec, err := Resolve(args)
	if err != nil || !spec.Has(Write) || spec.Key == nil {
		return nil
	}
	key := args[spec.FirstKey]
	const soon = 60_000
	return [][][]byte{{[]byte("GET"), key}, {[]byte("PEXPIRE"), key, fmt.Append(nil, soon), []byte("GT")}}
}

// related returns the latest commands that share a key with this one.
func related(history []string, args [][]byte) []string {
	var key string
	if spec, err := Resolve(args); err == nil && len(spec.Keys(args)) > 0 {
		key = fmt.Sprintf(" %q", spec.Keys(args)[0])
	}
	var out []string
	for _, h := range history {
		if strings.Contains(h, key) {
			out = append(out, h)
		}
	}
	return out[max(0, len(out)-8):]
}

// skip excludes intended differences: lists are not covered here, Redis reports
// the reference count of shared small integers, access times are not tracked,
// and Redis has more commands to list.
func skip(args [][]byte) bool {
	name := strings.ToLower(string(args[0]))
	list := false
	for _, a := range args {
		list = list || string(a) == "list"
	}
	switch {
	case list && (name == "dump" || name == "object"):
		return true
	case name == "object" && len(args) > 1 && slices.Contains([]string{"refcount", "idletime"}, strings.ToLower(string(args[1]))):
		return true
	}
	spec, err := Resolve(args)
	return name == "command" && len(args) == 1 ||
		err == nil && spec.Key == nil && spec.Split == nil && spec.Local == nil // not on data
}

// same compares replies. Replies about time may differ by the delay between the
// machine's clock and Redis's.
func same(args [][]byte, got, want []byte) bool {
	name := strings.ToLower(string(args[0]))
	if bytes.Equal(got, want) || ((name == "expire" || name == "pexpire") && len(args) > 3 && len(got) == len(want) && got[0] == ':') {
		return true // GT and LT with the same time as before
	}
	slack := map[string]int64{"ttl": 1, "expiretime": 1, "pttl": 1000, "pexpiretime": 1000}[name]
	if slack == 0 || len(got) == 0 || got[0] != ':' || want[0] != ':' {
		return false
	}
	a, _ := strconv.ParseInt(strings.TrimSpace(string(got[1:])), 10, 64)
	b, _ := strconv.ParseInt(strings.TrimSpace(string(want[1:])), 10, 64)
	return a-b <= slack && b-a <= slack
}
