package command

import (
	"synod/proxy/datatype/stream"
	"synod/proxy/datatype/stream/entry"
)

// streamEntryCommands declares the commands on the entries of streams.
func streamEntryCommands() []*Spec {
	return []*Spec{
		{
			Name: "xadd", Arity: -5,
			Flags:      Write | DenyOOM | Fast,
			Categories: StreamData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Notes: "UPDATE instead of INSERT because of the optional trimming feature", Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Appends a new entry to a stream",
			Complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
			History: []Revision{
				{"6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."},
				{"7.0.0", "Added support for the `<ms>-*` explicit ID form."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "nomkstream", Type: PureToken, Token: "NOMKSTREAM", Since: "6.2.0", Flags: Optional},
				{Name: "trim", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "strategy", Type: OneOf, Args: []Arg{
						{Name: "maxlen", Type: PureToken, Token: "MAXLEN"},
						{Name: "minid", Type: PureToken, Token: "MINID", Since: "6.2.0"},
					}},
					{Name: "operator", Type: OneOf, Flags: Optional, Args: []Arg{
						{Name: "equal", Type: PureToken, Token: "="},
						{Name: "approximately", Type: PureToken, Token: "~"},
					}},
					{Name: "threshold"},
					{Name: "count", Type: IntegerArg, Token: "LIMIT", Since: "6.2.0", Flags: Optional},
				}},
				{Name: "id_or_auto", Type: OneOf, Args: []Arg{
					{Name: "auto_id", Type: PureToken, Token: "*"},
					{Name: "id"},
				}},
				{Name: "field_value", Type: Block, Flags: Multiple, Args: []Arg{
					{Name: "field"},
					{Name: "value"},
				}},
			},
			Key: entry.Add,
		},
		{
			Name: "xdel", Arity: -3,
			Flags:      Write | Fast,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Removes the specified entries from the stream. Returns the number of items actually deleted, that may be different from the number of IDs passed in case certain IDs do not exist.",
			Complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "id", Flags: Multiple},
			},
			Key: entry.Del,
		},
		{
			Name: "xlen", Arity: 2,
			Flags:      ReadOnly | Fast,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRO, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Return the number of entries in a stream",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
			},
			Key: entry.Len,
		},
		{
			Name: "xrange", Arity: -4,
			Flags:      ReadOnly,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Return a range of elements in a stream, with IDs matching the specified IDs interval",
			Complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
			History: []Revision{
				{"6.2.0", "Added exclusive ranges."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "start"},
				{Name: "end"},
				{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional},
			},
			Key: entry.GetRange,
		},
		{
			Name: "xread", Arity: -4,
			Flags:      ReadOnly | Blocking | MovableKeys,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, Keyword: "STREAMS", First: 1, Last: -1, Step: 1, Limit: 2}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for each stream. Can block.",
			Complexity: "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.",
			Args: []Arg{
				{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional},
				{Name: "milliseconds", Type: IntegerArg, Token: "BLOCK", Flags: Optional},
				{Name: "streams", Type: Block, Token: "STREAMS", Args: []Arg{
					{Name: "key", Type: KeyArg, Flags: Multiple},
					{Name: "id", Flags: Multiple},
				}},
			},
			Split: stream.ReadStreams,
		},
		{
			Name: "xrevrange", Arity: -4,
			Flags:      ReadOnly,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order (from greater to smaller IDs) compared to XRANGE",
			Complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
			History: []Revision{
				{"6.2.0", "Added exclusive ranges."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "end"},
				{Name: "start"},
				{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional},
			},
			Key: entry.GetRevRange,
		},
		{
			Name: "xsetid", Arity: -3,
			Flags:      Write | DenyOOM | Fast,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "An internal command for replicating stream values",
			Complexity: "O(1)",
			History: []Revision{
				{"7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "last-id"},
				{Name: "entries_added", Type: IntegerArg, Token: "ENTRIESADDED", Since: "7.0.0", Flags: Optional},
				{Name: "max_deleted_entry_id", Token: "MAXDELETEDID", Since: "7.0.0", Flags: Optional},
			},
			Key: entry.SetID,
		},
		{
			Name: "xtrim", Arity: -4,
			Flags:      Write,
			Categories: StreamData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Trims the stream to (approximately if '~' is passed) a certain size",
			Complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
			History: []Revision{
				{"6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "trim", Type: Block, Args: []Arg{
					{Name: "strategy", Type: OneOf, Args: []Arg{
						{Name: "maxlen", Type: PureToken, Token: "MAXLEN"},
						{Name: "minid", Type: PureToken, Token: "MINID", Since: "6.2.0"},
					}},
					{Name: "operator", Type: OneOf, Flags: Optional, Args: []Arg{
						{Name: "equal", Type: PureToken, Token: "="},
						{Name: "approximately", Type: PureToken, Token: "~"},
					}},
					{Name: "threshold"},
					{Name: "count", Type: IntegerArg, Token: "LIMIT", Since: "6.2.0", Flags: Optional},
				}},
			},
			Key: entry.Trim,
		},
	}
}

// streamCommands declares the commands on streams.
func streamCommands() []*Spec { return append(streamEntryCommands(), streamGroupCommands()...) }
