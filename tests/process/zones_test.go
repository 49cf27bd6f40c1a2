package process

import "testing"

func TestZones(t *testing.T) {
	set := func(value string, call, end int64) event { return event{set: value, call: call, end: end} }
	lost := func(value string, call int64) event { return event{set: value, call: call, unanswered: true} }
	get := func(value string, call, end int64) event { return event{got: value, call: call, end: end} }
	for _, c := range []struct {
		name   string
		events []event
		right  bool
	}{
		{"one after the other", []event{get("", 1, 2), set("a", 3, 4), get("a", 5, 6), set("b", 7, 8), get("b", 9, 10)}, true},
		{"reads while it is written", []event{set("a", 1, 2), set("b", 3, 8), get("a", 4, 5), get("b", 6, 7)}, true},
		{"a write without an answer is read", []event{set("a", 1, 2), lost("b", 3), get("a", 4, 5), get("b", 6, 7)}, true},
		{"a write without an answer has no effect", []event{set("a", 1, 2), lost("b", 3), get("a", 4, 5)}, true},
		{"never read", []event{set("a", 1, 2), set("b", 3, 4), set("c", 5, 6)}, true},
		{"two writes at once", []event{set("a", 1, 4), set("b", 2, 3), get("a", 5, 6)}, true},

		{"an acknowledged write is lost", []event{set("a", 1, 2), get("a", 3, 4), set("b", 5, 6), get("a", 7, 8)}, false},
		{"back to what was there before", []event{set("a", 1, 4), set("b", 2, 3), get("a", 5, 6), get("b", 7, 8), get("a", 9, 10)}, false},
		{"nothing is there any more", []event{set("a", 1, 2), get("", 3, 4)}, false},
		{"read before it is written", []event{get("a", 1, 2), set("a", 3, 4)}, false},
		{"read and never written", []event{get("a", 1, 2)}, false},
		{"a write without an answer that comes and goes", []event{set("a", 1, 2), lost("b", 3), get("b", 4, 5), get("a", 6, 7)}, false},
		{"written twice", []event{set("a", 1, 2), set("a", 3, 4)}, false},
	} {
		if err := checkZones(c.events); (err == nil) != c.right {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
