package placement_test

import (
	"fmt"

	"synod/meta/placement"
)

// A key belongs to a slot, a slot to a range, and a range to a group of nodes.
func Example() {
	table, err := placement.Plan([]string{"n1", "n2", "n3", "n4"}, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	slot := placement.Slot([]byte("greeting"))
	r := table.Lookup(slot)
	fmt.Println(slot, r.State, table.Members(r.Group))
	fmt.Println(table.SlotsOf("n1"), "slots have a replica on n1")
	// Output:
	// 12714 STABLE [n4 n1 n2]
	// 12288 slots have a replica on n1
}

// Keys with the same {tag} are in the same slot.
func ExampleSlot() {
	fmt.Println(placement.Slot([]byte("{user7}:name")) == placement.Slot([]byte("{user7}:mail")))
	// Output: true
}
