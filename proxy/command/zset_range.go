package command

import "synod/proxy/datatype/zset"

// sortedSetRanges declares the commands that read members by their order.
func sortedSetRanges() []*Spec {
	return []*Spec{
		{
			Name: "zcount", Arity: 4,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.0.0",
			Summary:    "Count the members in a sorted set with scores within the given values",
			Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "min", Type: DoubleArg},
				{Name: "max", Type: DoubleArg},
			},
			Key: zset.Count,
		},
		{
			Name: "zlexcount", Arity: 4,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.8.9",
			Summary:    "Count the number of members in a sorted set between a given lexicographical range",
			Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "min"},
				{Name: "max"},
			},
			Key: zset.LexCount,
		},
		{
			Name: "zrange", Arity: -4,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Return a range of members in a sorted set",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
			History: []Revision{
				{"6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "start"},
				{Name: "stop"},
				{Name: "sortby", Type: OneOf, Since: "6.2.0", Flags: Optional, Args: []Arg{
					{Name: "byscore", Type: PureToken, Token: "BYSCORE"},
					{Name: "bylex", Type: PureToken, Token: "BYLEX"},
				}},
				{Name: "rev", Type: PureToken, Token: "REV", Since: "6.2.0", Flags: Optional},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Since: "6.2.0", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
			},
			Key: zset.Range,
		},
		{
			Name: "zrangebylex", Arity: -4,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.8.9",
			Summary:    "Return a range of members in a sorted set, by lexicographical range",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
			Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYLEX` argument",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "min"},
				{Name: "max"},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
			},
			Key: zset.RangeByLex,
		},
		{
			Name: "zrangebyscore", Arity: -4,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.0.5",
			Summary:    "Return a range of members in a sorted set, by score",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
			Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYSCORE` argument",
			History: []Revision{
				{"2.0.0", "Added the `WITHSCORES` modifier."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "min", Type: DoubleArg},
				{Name: "max", Type: DoubleArg},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Since: "2.0.0", Flags: Optional},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
			},
			Key: zset.RangeByScore,
		},
		{
			Name: "zrevrange", Arity: -4,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Return a range of members in a sorted set, by index, with scores ordered from high to low",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
			Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` argument",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "start", Type: IntegerArg},
				{Name: "stop", Type: IntegerArg},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
			},
			Key: zset.RevRange,
		},
		{
			Name: "zrevrangebylex", Arity: -4,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.8.9",
			Summary:    "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
			Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYLEX` arguments",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "max"},
				{Name: "min"},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
			},
			Key: zset.RevRangeByLex,
		},
		{
			Name: "zrevrangebyscore", Arity: -4,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.2.0",
			Summary:    "Return a range of members in a sorted set, by score, with scores ordered from high to low",
			Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
			Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYSCORE` arguments",
			History: []Revision{
				{"2.1.6", "`min` and `max` can be exclusive."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "max", Type: DoubleArg},
				{Name: "min", Type: DoubleArg},
				{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
			},
			Key: zset.RevRangeByScore,
		},
	}
}
