package placement_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"synod/meta/placement"
	"synod/protocol/caspaxos/quorum"
)

// The expected slots are what `CLUSTER KEYSLOT` of a Redis 7 server returns.
func TestSlotIsRedisClusters(t *testing.T) {
	for key, want := range map[string]uint16{
		"":                     0,
		"123456789":            0x31c3,
		"foo":                  12182,
		"bar":                  5061,
		"hello":                866,
		"somekey":              11058,
		"foo{hash_tag}":        2515,
		"bar{hash_tag}":        2515,
		"{user1000}.following": 3443,
		"{user1000}.followers": 3443,
		"foo{}{bar}":           8363,
		"foo{{bar}}zap":        4015,
		"foo{bar}{zap}":        5061,
	} {
		if got := placement.Slot([]byte(key)); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestSlotOfHashTag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.StringMatching(`[^{}]{1,12}`).Draw(t, "tag")
		before := rapid.StringMatching(`[^{]{0,8}`).Draw(t, "before")
		after := rapid.String().Draw(t, "after")
		if a, b := placement.Slot([]byte(tag)), placement.Slot([]byte(before+"{"+tag+"}"+after)); a != b {
			t.Fatalf("slots %d and %d", a, b)
		}
	})
}

func TestSlotAllocatesNothing(t *testing.T) {
	key := []byte("some{tagged}key")
	if n := testing.AllocsPerRun(100, func() { placement.Slot(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("n%d", i+1)
	}
	return out
}

func TestPlanIsEvenDeterministicAndValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "nodes")
		r := rapid.IntRange(1, min(n, quorum.MaxMembers)).Draw(t, "replicas")
		nodes := names(n)
		table, err := placement.Plan(nodes, r)
		if err != nil {
			t.Fatal(err)
		}
		other, err := placement.Plan(rapid.Permutation(nodes).Draw(t, "order"), r)
		if err != nil || !reflect.DeepEqual(table, other) {
			t.Fatalf("the order of the names matters (%v)", err)
		}
		per := make(map[string]int)
		for slot := range placement.Slots {
			rg := table.Lookup(uint16(slot))
			if slot < int(rg.First) || slot > int(rg.Last) {
				t.Fatalf("Lookup(%d) = %d-%d", slot, rg.First, rg.Last)
			}
			members := table.Members(rg.Group)
			if len(members) != r || rg.Epoch != 1 || rg.State != placement.Stable {
				t.Fatalf("slot %d: %+v of %v", slot, rg, members)
			}
			for _, m := range members {
				per[m]++
			}
		}
		for _, node := range nodes {
			if per[node] != table.SlotsOf(node) {
				t.Fatalf("SlotsOf(%s) = %d, counted %d", node, table.SlotsOf(node), per[node])
			}
		}
		counts := slices.Sorted(maps.Values(per))
		if len(counts) != n || counts[n-1]-counts[0] > r {
			t.Fatalf("slots per node from %d to %d", counts[0], counts[n-1])
		}
	})
}

func TestPlanIsARingOfGroups(t *testing.T) {
	table, err := placement.Plan(names(5), 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Groups) != 5 {
		t.Errorf("%d groups", len(table.Groups))
	}
	if got := table.Members("g4"); !slices.Equal(got, []string{"n4", "n5", "n1"}) {
		t.Errorf("group g4 is %v", got)
	}
	if got := table.Nodes(); !slices.Equal(got, names(5)) {
		t.Errorf("nodes %v", got)
	}
}

func TestPlanRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		nodes    []string
		replicas int
		say      string
	}{
		{names(2), 3, "3 replicas need as many nodes, there are 2"},
		{names(3), 0, "0 replicas"},
		{names(20), 17, "17 replicas"},
		{[]string{"a", "b", "a"}, 3, "a is named twice"},
		{[]string{"a", "b/c"}, 1, "b/c"},
		{[]string{""}, 1, "1 to 64 characters"},
		{nil, 1, "there are 0"},
	} {
		_, err := placement.Plan(c.nodes, c.replicas)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("Plan(%v, %d): %v, want %q", c.nodes, c.replicas, err, c.say)
		}
	}
}

func joint() *placement.Table {
	return &placement.Table{
		Format: placement.Format,
		Groups: []placement.Group{{ID: "a", Nodes: []string{"n1", "n2", "n3"}}, {ID: "b", Nodes: []string{"n2", "n3", "n4"}}},
		Ranges: []placement.Range{
			{First: 0, Last: 99, Epoch: 1, State: placement.Stable, Group: "a", Since: map[string]uint64{"n1": 1, "n2": 1, "n3": 1}},
			{First: 100, Last: placement.Slots - 1, Epoch: 4, State: placement.Joint, Group: "a", Next: "b",
				Since: map[string]uint64{"n1": 1, "n2": 1, "n3": 2, "n4": 4}},
		},
	}
}

func TestTableRoundTrip(t *testing.T) {
	for _, table := range []*placement.Table{joint(), func() *placement.Table { p, _ := placement.Plan(names(7), 3); return p }()} {
		data, err := table.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := placement.Decode(data)
		if err != nil || !reflect.DeepEqual(back, table) {
			t.Errorf("%s\nbecame %+v (%v)", data, back, err)
		}
	}
}

func TestValidateRefusesContradictions(t *testing.T) {
	for name, breakIt := range map[string]func(*placement.Table){
		"newer format":            func(t *placement.Table) { t.Format++ },
		"no ranges":               func(t *placement.Table) { t.Ranges = nil },
		"slot missing at the end": func(t *placement.Table) { t.Ranges[1].Last-- },
		"slot beyond the end":     func(t *placement.Table) { t.Ranges[1].Last++ },
		"gap":                     func(t *placement.Table) { t.Ranges[1].First++ },
		"slot twice":              func(t *placement.Table) { t.Ranges[1].First-- },
		"ranges out of order":     func(t *placement.Table) { slices.Reverse(t.Ranges) },
		"epoch zero":              func(t *placement.Table) { t.Ranges[0].Epoch = 0 },
		"unknown group":           func(t *placement.Table) { t.Ranges[0].Group = "c" },
		"unknown next":            func(t *placement.Table) { t.Ranges[1].Next = "c" },
		"stable with next":        func(t *placement.Table) { t.Ranges[0].Next = "b" },
		"joint without next":      func(t *placement.Table) { t.Ranges[1].Next = "" },
		"joint with itself":       func(t *placement.Table) { t.Ranges[1].Next = "a" },
		"unknown state":           func(t *placement.Table) { t.Ranges[0].State = "MOVING" },
		"node twice":              func(t *placement.Table) { t.Groups[0].Nodes[1] = "n1" },
		"group twice":             func(t *placement.Table) { t.Groups[1].ID = "a" },
		"group without nodes":     func(t *placement.Table) { t.Groups[0].Nodes = nil },
		"too many nodes":          func(t *placement.Table) { t.Groups[0].Nodes = names(17) },
		"bad node name":           func(t *placement.Table) { t.Groups[0].Nodes[0] = "n 1" },
		"unused group": func(t *placement.Table) {
			t.Groups = append(t.Groups, placement.Group{ID: "c", Nodes: []string{"n9"}})
		},
		"membership missing":           func(t *placement.Table) { delete(t.Ranges[0].Since, "n1") },
		"membership of a stranger":     func(t *placement.Table) { t.Ranges[0].Since["n9"] = 1 },
		"membership from the future":   func(t *placement.Table) { t.Ranges[0].Since["n1"] = 2 },
		"membership from epoch zero":   func(t *placement.Table) { t.Ranges[0].Since["n1"] = 0 },
		"too many members under joint": func(t *placement.Table) { t.Groups[1].Nodes = names(20)[3:18] },
	} {
		table := joint()
		breakIt(table)
		if err := table.Validate(); !errors.Is(err, placement.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		data, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := placement.Decode(data); !errors.Is(err, placement.ErrInvalid) {
			t.Errorf("%s: decoded: %v", name, err)
		}
	}
}

func TestDecodeRefusesForeignText(t *testing.T) {
	good, err := joint().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "null", "[]", `{"format":1}`, `{"format":2,"what":1}`,
		string(good) + "{}",
		strings.Replace(string(good), `"format"`, `"colour":1,"format"`, 1),
		strings.Replace(string(good), `"last":99`, `"last":99999`, 1),
	} {
		if table, err := placement.Decode([]byte(text)); !errors.Is(err, placement.ErrInvalid) {
			t.Errorf("%s: %v, %v", text, table, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	good, err := joint().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"groups":[],"ranges":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := placement.Decode(data)
		if err != nil {
			return
		}
		again, err := table.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := placement.Decode(again)
		if err != nil || !reflect.DeepEqual(back, table) {
			t.Fatalf("%s became %s (%v)", data, again, err)
		}
	})
}
