package command

import "synod/proxy/datatype/zset"

// sortedSetReads declares the commands that read members one by one.
func sortedSetReads() []*Spec {
	return []*Spec{
		{
			Name: "zcard", Arity: 2,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Get the number of members in a sorted set",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
			},
			Key: zset.Card,
		},
		{
			Name: "zmscore", Arity: -3,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "6.2.0",
			Summary:    "Get the score associated with the given members in a sorted set",
			Complexity: "O(N) where N is the number of members being requested.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member", Flags: Multiple},
			},
			Key: zset.MScore,
		},
		{
			Name: "zrandmember", Arity: -2,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "6.2.0",
			Summary:    "Get one or multiple random elements from a sorted set",
			Complexity: "O(N) where N is the number of elements returned",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "options", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "count", Type: IntegerArg},
					{Name: "withscores", Type: PureToken, Token: "WITHSCORES", Flags: Optional},
				}},
			},
			Key: zset.RandMember,
		},
		{
			Name: "zrank", Arity: -3,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.0.0",
			Summary:    "Determine the index of a member in a sorted set",
			Complexity: "O(log(N))",
			History: []Revision{
				{"7.2.0", "Added the optional `WITHSCORE` argument."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member"},
				{Name: "withscore", Type: PureToken, Token: "WITHSCORE", Flags: Optional},
			},
			Key: zset.Rank,
		},
		{
			Name: "zrevrank", Arity: -3,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.0.0",
			Summary:    "Determine the index of a member in a sorted set, with scores ordered from high to low",
			Complexity: "O(log(N))",
			History: []Revision{
				{"7.2.0", "Added the optional `WITHSCORE` argument."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member"},
				{Name: "withscore", Type: PureToken, Token: "WITHSCORE", Flags: Optional},
			},
			Key: zset.RevRank,
		},
		{
			Name: "zscan", Arity: -3,
			Flags:      ReadOnly,
			Categories: SortedSetData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "2.8.0",
			Summary:    "Incrementally iterate sorted sets elements and associated scores",
			Complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				cursorArg, matchArg, scanCountArg,
			},
			Key: zset.Scan,
		},
		{
			Name: "zscore", Arity: 3,
			Flags:      ReadOnly | Fast,
			Categories: SortedSetData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "sorted-set", Since: "1.2.0",
			Summary:    "Get the score associated with the given member in a sorted set",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "member"},
			},
			Key: zset.Score,
		},
	}
}
