package command

import (
	"slices"

	"synod/proxy/datatype/zset"
)

// sortedSetCommands declares the commands on sorted sets.
func sortedSetCommands() []*Spec {
	return slices.Concat(sortedSetWrites(), sortedSetReads(), sortedSetRanges(), sortedSetAlgebra())
}

// sortedSetWrites declares the commands that change sorted sets.
func sortedSetWrites() []*Spec {
	return []*Spec{
		{
			Name: "zadd", Arity: -4,
			Flags:      Write | DenyOOM | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Add one or more members to a sorted set, or update its score if it already exists",
			Complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
			History: []Revision{
				{"2.4.0", "Accepts multiple elements."},
				{"3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."},
				{"6.2.0", "Added the `GT` and `LT` options."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "condition", Type: OneOf, Since: "3.0.2", Flags: Optional, Args: []Arg{
					{Name: "nx", Type: PureToken, Token: "NX"},
					{Name: "xx", Type: PureToken, Token: "XX"},
				}},
				{Name: "comparison", Type: OneOf, Since: "6.2.0", Flags: Optional, Args: []Arg{
					{Name: "gt", Type: PureToken, Token: "GT"},
					{Name: "lt", Type: PureToken, Token: "LT"},
				}},
				{Name: "change", Type: PureToken, Token: "CH", Since: "3.0.2", Flags: Optional},
				{Name: "increment", Type: PureToken, Token: "INCR", Since: "3.0.2", Flags: Optional},
				{Name: "score_member", Type: Block, Flags: Multiple, Args: []Arg{
					{Name: "score", Type: DoubleArg},
					{Name: "member"},
				}},
			},
			Key: zset.Add,
		},
		{
			Name: "zincrby", Arity: 4,
			Flags:      Write | DenyOOM | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Increment the score of a member in a sorted set",
			Complexity: "O(log(N)) where N is the number of elements in the sorted set.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "increment", Type: IntegerArg},
				{Name: "member"},
			},
			Key: zset.IncrBy,
		},
		{
			Name: "zpopmax", Arity: -2,
			Flags:      Write | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "5.0.0",
			Summary:    "Remove and return members with the highest scores in a sorted set",
			Complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "count", Type: IntegerArg, Flags: Optional},
			},
			Key: zset.PopMax,
		},
		{
			Name: "zpopmin", Arity: -2,
			Flags:      Write | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "5.0.0",
			Summary:    "Remove and return members with the lowest scores in a sorted set",
			Complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "count", Type: IntegerArg, Flags: Optional},
			},
			Key: zset.PopMin,
		},
		{
			Name: "zrem", Arity: -3,
			Flags:      Write | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Remove one or more members from a sorted set",
			Complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
			History: []Revision{
				{"2.4.0", "Accepts multiple elements."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member", Flags: Multiple},
			},
			Key: zset.Remove,
		},
		{
			Name: "zremrangebylex", Arity: 4,
			Flags:      Write,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.8.9",
			Summary:    "Remove all members in a sorted set between the given lexicographical range",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "min"},
				{Name: "max"},
			},
			Key: zset.RemoveRangeByLex,
		},
		{
			Name: "zremrangebyrank", Arity: 4,
			Flags:      Write,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.0.0",
			Summary:    "Remove all members in a sorted set within the given indexes",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "start", Type: IntegerArg},
				{Name: "stop", Type: IntegerArg},
			},
			Key: zset.RemoveRangeByRank,
		},
		{
			Name: "zremrangebyscore", Arity: 4,
			Flags:      Write,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Remove all members in a sorted set within the given scores",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "min", Type: DoubleArg},
				{Name: "max", Type: DoubleArg},
			},
			Key: zset.RemoveRangeByScore,
		},
	}
}
