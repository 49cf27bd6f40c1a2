package command

import (
	"synod/proxy/datatype/hll"
)

// hyperloglogCommands declares the commands on HyperLogLogs.
func hyperloglogCommands() []*Spec {
	return []*Spec{
		{
			Name: "pfadd", Arity: -2,
			Flags:      Write | DenyOOM | Fast,
			Categories: HyperLogLogData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyInsert, First: 1, Step: 1}},
			Group:      "hyperloglog", Since: "2.8.9",
			Summary:    "Adds the specified elements to the specified HyperLogLog.",
			Complexity: "O(1) to add every element.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "element", Flags: Optional | Multiple},
			},
			Key: hll.Add,
		},
		{
			Name: "pfcount", Arity: -2,
			Flags:      ReadOnly,
			Categories: HyperLogLogData,
			KeySpecs:   []KeySpec{{Notes: "RW because it may change the internal representation of the key, and propagate to replicas", Flags: KeyRW | KeyAccess, First: 1, Last: -1, Step: 1}},
			Group:      "hyperloglog", Since: "2.8.9",
			Summary:    "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).",
			Complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
			Args: []Arg{
				{Name: "key", Type: KeyArg, Flags: Multiple},
			},
			Split: hll.Count,
		},
	}
}
