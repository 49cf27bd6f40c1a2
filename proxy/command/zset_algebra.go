package command

import "synod/proxy/datatype/zset"

// sortedSetAlgebra declares the commands that combine sorted sets.
func sortedSetAlgebra() []*Spec {
	return []*Spec{
		{
			Name: "zdiff", Arity: -3,
			Flags:      ReadOnly | MovableKeys,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1, KeyNum: true}},
			Group:      "sorted-set", Since: "6.2.0",
			Summary:    "Subtract multiple sorted sets",
			Complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
			Args: []Arg{
				{Name: "numkeys", Type: IntegerArg},
				{Name: "key", Type: KeyArg, Flags: Multiple},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
			},
			Split: zset.ZDiff,
		},
		{
			Name: "zinter", Arity: -3,
			Flags:      ReadOnly | MovableKeys,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1, KeyNum: true}},
			Group:      "sorted-set", Since: "6.2.0",
			Summary:    "Intersect multiple sorted sets",
			Complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
			Args: []Arg{
				{Name: "numkeys", Type: IntegerArg},
				{Name: "key", Type: KeyArg, Flags: Multiple},
				{Name: "weight", Type: IntegerArg, Token: "WEIGHTS", Flags: Optional | Multiple},
				{Name: "aggregate", Type: OneOf, Token: "AGGREGATE", Flags: Optional, Args: []Arg{
					{Name: "sum", Type: PureToken, Token: "SUM"},
					{Name: "min", Type: PureToken, Token: "MIN"},
					{Name: "max", Type: PureToken, Token: "MAX"},
				}},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
			},
			Split: zset.ZInter,
		},
		{
			Name: "zintercard", Arity: -3,
			Flags:      ReadOnly | MovableKeys,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1, KeyNum: true}},
			Group:      "sorted-set", Since: "7.0.0",
			Summary:    "Intersect multiple sorted sets and return the cardinality of the result",
			Complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
			Args: []Arg{
				{Name: "numkeys", Type: IntegerArg},
				{Name: "key", Type: KeyArg, Flags: Multiple},
				{Name: "limit", Type: IntegerArg, Token: "LIMIT", Flags: Optional},
			},
			Split: zset.ZInterCard,
		},
		{
			Name: "zunion", Arity: -3,
			Flags:      ReadOnly | MovableKeys,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1, KeyNum: true}},
			Group:      "sorted-set", Since: "6.2.0",
			Summary:    "Add multiple sorted sets",
			Complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
			Args: []Arg{
				{Name: "numkeys", Type: IntegerArg},
				{Name: "key", Type: KeyArg, Flags: Multiple},
				{Name: "weight", Type: IntegerArg, Token: "WEIGHTS", Flags: Optional | Multiple},
				{Name: "aggregate", Type: OneOf, Token: "AGGREGATE", Flags: Optional, Args: []Arg{
					{Name: "sum", Type: PureToken, Token: "SUM"},
					{Name: "min", Type: PureToken, Token: "MIN"},
					{Name: "max", Type: PureToken, Token: "MAX"},
				}},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
			},
			Split: zset.ZUnion,
		},
	}
}
