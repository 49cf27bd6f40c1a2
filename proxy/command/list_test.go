package command

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"synod/protocol/register"
	"synod/proxy/datatype/list"
)

func TestLists(t *testing.T) {
	play(t, `
		LPUSH k a b c => :3
		RPUSH k d e => :5
		LRANGE k 0 -1 => *5 $1 c $1 b $1 a $1 d $1 e
		LPUSHX n a => :0
		RPUSHX n a => :0
		RPUSHX k f => :6
		LLEN k => :6
		LLEN n => :0
		LINDEX k 0 => $1 c
		LINDEX k -1 => $1 f
		LINDEX k 6 => _
		LINDEX k -7 => _
		LINDEX k x => -ERR value is not an integer or out of range
		LINDEX n x => _
		LSET n x v => -ERR no such key
		LSET k x v => -ERR value is not an integer or out of range
		LSET k 6 v => -ERR index out of range
		LSET k -6 C => +OK
		LINSERT k BEFORE d x => :7
		LINSERT k after e y => :8
		LINSERT k BEFORE nope x => :-1
		LINSERT n BEFORE nope x => :0
		LINSERT k AROUND nope x => -ERR syntax error
		LRANGE k 0 -1 => *8 $1 C $1 b $1 a $1 x $1 d $1 e $1 y $1 f
		LSET k 3 a => +OK
		LREM k 1 a => :1
		LRANGE k -100 100 => *7 $1 C $1 b $1 a $1 d $1 e $1 y $1 f
		LRANGE k 5 1 => *0
		LTRIM k 1 -2 => +OK
		LRANGE k 0 -1 => *5 $1 b $1 a $1 d $1 e $1 y
		LPOP k => $1 b
		RPOP k 2 => *2 $1 y $1 e
		LPOP k 0 => *0
		LPOP k -1 => -ERR value is out of range, must be positive
		LPOP k x => -ERR value is out of range, must be positive
		LPOP k 1 1 => -ERR wrong number of arguments for 'lpop' command
		EXPIRE k 100 => :1
		LPOP k 100 => *2 $1 a $1 d
		TTL k => :-2
		LPOP k => _
		LPOP k 0 => _
		RPOP k 1 => _
		SET s v => +OK
		LPOP s x => -ERR value is out of range, must be positive
		LPOP s => `+wrongType+`
		LINDEX s x => `+wrongType+`
		LRANGE s x 1 => -ERR value is not an integer or out of range
		RPUSH s x => `+wrongType+`
		LPOS s x => `+wrongType+`
	`)
}

func TestListPositions(t *testing.T) {
	play(t, `
		RPUSH k a b c 1 2 3 c c => :8
		LPOS k c => :2
		LPOS k c RANK 2 => :6
		LPOS k c RANK -1 => :7
		LPOS k c COUNT 2 => *2 :2 :6
		LPOS k c RANK -1 COUNT 0 => *3 :7 :6 :2
		LPOS k c RANK 0 => -ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
		LPOS k c COUNT -1 => -ERR COUNT can't be negative
		LPOS k c MAXLEN -1 => -ERR MAXLEN can't be negative
		LPOS k c COUNT => -ERR syntax error
		LPOS k c COUNT 0 MAXLEN 3 => *1 :2
		LPOS k c COUNT 0 MAXLEN 2 RANK -1 => *2 :7 :6
		LPOS k nope => _
		LPOS k nope COUNT 1 => *0
		LPOS none nope COUNT 1 => *0
		LPOS k c RANK -9223372036854775808 => :7
		LREM k -2 c => :2
		LRANGE k 0 -1 => *6 $1 a $1 b $1 c $1 1 $1 2 $1 3
		LREM k 0 nope => :0
		LREM k x nope => -ERR value is not an integer or out of range
	`)
}

// listed returns a list's items, and fails if the list violates its invariants.
func (m *machine) listed(key string) []string {
	m.t.Helper()
	v, exists := m.keys[key]
	if !exists {
		return nil
	}
	elems := v.Elements()
	if uint64(len(elems)) != v.Header.Size || len(elems) == 0 {
		m.t.Fatalf("a list of %d with %d elements", v.Header.Size, len(elems))
	}
	first, last := binary.BigEndian.Uint64(v.Header.Aux), binary.BigEndian.Uint64(v.Header.Aux[8:])
	aligned := v.Header.Aux[16] != 0
	if len(v.Header.Aux) != 17 || label(elems[0]) != first || label(elems[len(elems)-1]) != last {
		m.t.Fatalf("a list whose ends are not where %x says", v.Header.Aux)
	}
	var items []string
	for _, e := range elems {
		if len(e.Key) != 8 || (aligned && (label(e)-first)%(1<<20) != 0) {
			m.t.Fatalf("label %x in a list of %x", e.Key, v.Header.Aux)
		}
		items = append(items, string(e.Value))
	}
	return items
}

func label(e register.Element) uint64 { return binary.BigEndian.Uint64(e.Key) }

// TestListsAreSlices compares random list commands with operations on slices.
func TestListsAreSlices(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	m := newMachine(t)
	var model []string
	item := func() string { return strconv.Itoa(rng.IntN(60)) }
	for range 4000 {
		i, n := rng.IntN(200), 1+rng.IntN(3)
		if len(model) > 0 {
			i = rng.IntN(len(model))
		}
		at := strconv.Itoa(i)
		if rng.IntN(2) == 0 {
			at = strconv.Itoa(i - len(model))
		}
		a, b := item(), item()
		switch rng.IntN(9) {
		case 0, 1:
			m.text("RPUSH", "k", a, b)
			model = append(model, a, b)
		case 2, 3:
			m.text("LPUSH", "k", a, b)
			model = append([]string{b, a}, model...)
		case 4:
			m.text("LPOP", "k", strconv.Itoa(n))
			model = model[min(n, len(model)):]
		case 5:
			m.text("RPOP", "k", strconv.Itoa(n))
			model = model[:max(0, len(model)-n)]
		case 6:
			if m.text("LSET", "k", at, a); i < len(model) {
				model[i] = a
			}
		case 7:
			if m.text("LINSERT", "k", "AFTER", a, b); slices.Contains(model, a) {
				model = slices.Insert(model, slices.Index(model, a)+1, b)
			}
		case 8:
			m.text("LREM", "k", "1", a)
			if j := slices.Index(model, a); j >= 0 {
				model = slices.Delete(slices.Clone(model), j, j+1)
			}
			if rng.IntN(4) == 0 && len(model) > 20 {
				m.text("LTRIM", "k", "3", "-5")
				model = model[3 : len(model)-4]
			}
		}
		if got := m.listed("k"); !slices.Equal(got, model) {
			t.Fatalf("%q, want %q", got, model)
		}
	}
}

// bigList creates a list of n items, some of them inserted if the list must not
// be regular, and returns the items.
func bigList(m *machine, n int, regular bool) {
	var items [][]byte
	for i := range n {
		items = append(items, []byte("item-"+strconv.Itoa(i)))
	}
	h, ops := list.Build(items)
	m.keys["k"] = register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
	if !regular {
		m.text("LREM", "k", "1", "item-"+strconv.Itoa(n/2))
		m.text("LINSERT", "k", "BEFORE", "item-"+strconv.Itoa(n/2+1), "inserted")
		m.text("LINSERT", "k", "AFTER", "item-1", "inserted")
		m.text("LPOP", "k")
	}
}

// TestCostOfLists checks that commands on a large list read and change only the
// items that they touch.
func TestCostOfLists(t *testing.T) {
	for _, regular := range []bool{true, false} {
		for request, most := range map[string]int{
			"LPUSH k a b": 200, "RPUSH k a": 200, "RPUSHX k a": 200, "LLEN k": 0, "LPOP k": 3000, "RPOP k 3": 3000, "LINDEX k 0": 100, "LINDEX k -3": 100,
			"LINDEX k 2500": 100, "LSET k 2500 x": 200, "LSET k -1 x": 200, "LRANGE k 10 12": 300, "LRANGE k -3 -1": 300, "LRANGE k 2500 -2499": 300,
			"LTRIM k 1 -2": 400, "LTRIM k 0 2": 400, "LTRIM k 2000 2003": 500, "LPOS k item-7 MAXLEN 10": 1000, "LRANGE k -2502 2500": 300,
		} {
			m := newMachine(t)
			bigList(m, 5000, regular)
			args := splitWords(t, request)
			spec, _ := Resolve(args)
			op, err := spec.Key(args)
			if err != nil {
				t.Fatalf("%s: %s", request, err.Str)
			}
			whole := m.keys["k"]
			part := whole.Project(op.Needs())
			e, trips := op.Execute(part, m.now), 0
			for ; e.Need != nil && trips < 3; trips++ {
				part = register.Join(part, whole.Project(*e.Need))
				e = op.Execute(part, m.now)
			}
			known := register.NewView(part.Header, register.Knowledge{}, part.Elements())
			if n := known.Bytes() + e.Change.Bytes(); trips > 1 || n > most+300 {
				t.Errorf("%s, regular %v: %d more trips, %d bytes", request, regular, trips, n)
			}
			m.do(args...)
			m.listed("k")
		}
	}
}
