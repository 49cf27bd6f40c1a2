package command

import "synod/proxy/datatype/sorting"

// sortCommands declares the commands that sort lists, sets and sorted sets.
func sortCommands() []*Spec {
	return []*Spec{
		{
			Name: "sort", Arity: -2,
			Flags:      Write | DenyOOM | MovableKeys,
			Categories: SetData | SortedSetData | ListData | Dangerous,
			KeySpecs: []KeySpec{
				{Flags: KeyRO | KeyAccess, First: 1, Step: 1},
				{Notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort", Flags: KeyRO | KeyAccess, Unknown: true},
				{Notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array", Flags: KeyOW | KeyUpdate, Unknown: true, Find: storeKey},
			},
			Group: "generic", Since: "1.0.0",
			Summary:    "Sort the elements in a list, set or sorted set",
			Complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "pattern", Type: PatternArg, KeySpec: 1, Token: "BY", Flags: Optional},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
				{Name: "pattern", Type: PatternArg, KeySpec: 1, Token: "GET", Flags: Optional | Multiple | MultipleToken},
				orderArg,
				{Name: "sorting", Type: PureToken, Token: "ALPHA", Flags: Optional},
				{Name: "destination", Type: KeyArg, KeySpec: 2, Token: "STORE", Flags: Optional},
			},
			Split: sorting.Sort,
		},
		{
			Name: "sort_ro", Arity: -2,
			Flags:      ReadOnly | MovableKeys,
			Categories: SetData | SortedSetData | ListData | Dangerous,
			KeySpecs: []KeySpec{
				{Flags: KeyRO | KeyAccess, First: 1, Step: 1},
				{Notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort", Flags: KeyRO | KeyAccess, Unknown: true},
			},
			Group: "generic", Since: "7.0.0",
			Summary:    "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
			Complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "pattern", Type: PatternArg, KeySpec: 1, Token: "BY", Flags: Optional},
				{Name: "offset_count", Type: Block, Token: "LIMIT", Flags: Optional, Args: []Arg{
					{Name: "offset", Type: IntegerArg},
					{Name: "count", Type: IntegerArg},
				}},
				{Name: "pattern", Type: PatternArg, KeySpec: 1, Token: "GET", Flags: Optional | Multiple | MultipleToken},
				orderArg,
				{Name: "sorting", Type: PureToken, Token: "ALPHA", Flags: Optional},
			},
			Split: sorting.SortRO,
		},
	}
}
