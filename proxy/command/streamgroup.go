package command

import "synod/proxy/datatype/stream"

// streamGroupCommands declares the commands on consumer groups, and XINFO.
func streamGroupCommands() []*Spec {
	return []*Spec{
		{
			Name: "xack", Arity: -4,
			Flags:      Write | Fast,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Marks a pending message as correctly processed, effectively removing it from the pending entries list of the consumer group. Return value of the command is the number of messages successfully acknowledged, that is, the IDs we were actually able to resolve in the PEL.",
			Complexity: "O(1) for each message ID processed.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "group"},
				{Name: "id", Flags: Multiple},
			},
			Key: stream.Ack,
		},
		{
			Name: "xautoclaim", Arity: -6,
			Flags:      Write | Fast,
			Categories: StreamData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 1, Step: 1}},
			Group:      "stream", Since: "6.2.0",
			Summary:    "Changes (or acquires) ownership of messages in a consumer group, as if the messages were delivered to the specified consumer.",
			Complexity: "O(1) if COUNT is small.",
			History: []Revision{
				{"7.0.0", "Added an element to the reply array, containing deleted entries the command cleared from the PEL"},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "group"},
				{Name: "consumer"},
				{Name: "min-idle-time"},
				{Name: "start"},
				{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional},
				{Name: "justid", Type: PureToken, Token: "JUSTID", Flags: Optional},
			},
			Key: stream.AutoClaim,
		},
		{
			Name: "xclaim", Arity: -6,
			Flags:      Write | Fast,
			Categories: StreamData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Changes (or acquires) ownership of a message in a consumer group, as if the message was delivered to the specified consumer.",
			Complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "group"},
				{Name: "consumer"},
				{Name: "min-idle-time"},
				{Name: "id", Flags: Multiple},
				{Name: "ms", Type: IntegerArg, Token: "IDLE", Flags: Optional},
				{Name: "unix-time-milliseconds", Type: UnixTime, Token: "TIME", Flags: Optional},
				{Name: "count", Type: IntegerArg, Token: "RETRYCOUNT", Flags: Optional},
				{Name: "force", Type: PureToken, Token: "FORCE", Flags: Optional},
				{Name: "justid", Type: PureToken, Token: "JUSTID", Flags: Optional},
				{Name: "id", Token: "LASTID", Flags: Optional},
			},
			Key: stream.Claim,
		},
		{
			Name: "xgroup", Arity: -2,
			Group: "stream", Since: "5.0.0",
			Summary:    "A container for consumer groups commands",
			Complexity: "Depends on subcommand.",
			Subcommands: []*Spec{
				{
					Name: "create", Arity: -5,
					Flags:      Write | DenyOOM,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRW | KeyInsert, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "Create a consumer group.",
					Complexity: "O(1)",
					History: []Revision{
						{"7.0.0", "Added the `entries_read` named argument."},
					},
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "groupname"},
						{Name: "id", Type: OneOf, Args: []Arg{
							{Name: "id"},
							{Name: "new_id", Type: PureToken, Token: "$"},
						}},
						{Name: "mkstream", Type: PureToken, Token: "MKSTREAM", Flags: Optional},
						{Name: "entries_read", Type: IntegerArg, Token: "ENTRIESREAD", Flags: Optional},
					},
					Key: stream.CreateGroup,
				},
				{
					Name: "createconsumer", Arity: 5,
					Flags:      Write | DenyOOM,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRW | KeyInsert, First: 2, Step: 1}},
					Group:      "stream", Since: "6.2.0",
					Summary:    "Create a consumer in a consumer group.",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "groupname"},
						{Name: "consumername"},
					},
					Key: stream.CreateConsumer,
				},
				{
					Name: "delconsumer", Arity: 5,
					Flags:      Write,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "Delete a consumer from a consumer group.",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "groupname"},
						{Name: "consumername"},
					},
					Key: stream.DeleteConsumer,
				},
				{
					Name: "destroy", Arity: 4,
					Flags:      Write,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRW | KeyDelete, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "Destroy a consumer group.",
					Complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "groupname"},
					},
					Key: stream.DestroyGroup,
				},
				{
					Name: "help", Arity: 2,
					Flags:      Loading | Stale,
					Categories: StreamData,
					Group:      "stream", Since: "5.0.0",
					Summary:    "Show helpful text about the different subcommands",
					Complexity: "O(1)",
					Local:      help(xgroupHelp),
				},
				{
					Name: "setid", Arity: -5,
					Flags:      Write,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRW | KeyUpdate, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "Set a consumer group to an arbitrary last delivered ID value.",
					Complexity: "O(1)",
					History: []Revision{
						{"7.0.0", "Added the optional `entries_read` argument."},
					},
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "groupname"},
						{Name: "id", Type: OneOf, Args: []Arg{
							{Name: "id"},
							{Name: "new_id", Type: PureToken, Token: "$"},
						}},
						{Name: "entries_read", Type: IntegerArg, Token: "ENTRIESREAD", Flags: Optional},
					},
					Key: stream.SetGroupID,
				},
			},
		},
		{
			Name: "xinfo", Arity: -2,
			Group: "stream", Since: "5.0.0",
			Summary:    "A container for stream introspection commands",
			Complexity: "Depends on subcommand.",
			Subcommands: []*Spec{
				{
					Name: "consumers", Arity: 4,
					Flags:      ReadOnly,
					Categories: StreamData,
					Tips:       []string{"nondeterministic_output"},
					KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "List the consumers in a consumer group",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "groupname"},
					},
					Key: stream.InfoConsumers,
				},
				{
					Name: "groups", Arity: 3,
					Flags:      ReadOnly,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "List the consumer groups of a stream",
					Complexity: "O(1)",
					History: []Revision{
						{"7.0.0", "Added the `entries-read` and `lag` fields"},
					},
					Args: []Arg{
						{Name: "key", Type: KeyArg},
					},
					Key: stream.InfoGroups,
				},
				{
					Name: "help", Arity: 2,
					Flags:      Loading | Stale,
					Categories: StreamData,
					Group:      "stream", Since: "5.0.0",
					Summary:    "Show helpful text about the different subcommands",
					Complexity: "O(1)",
					Local:      help(xinfoHelp),
				},
				{
					Name: "stream", Arity: -3,
					Flags:      ReadOnly,
					Categories: StreamData,
					KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 2, Step: 1}},
					Group:      "stream", Since: "5.0.0",
					Summary:    "Get information about a stream",
					Complexity: "O(1)",
					History: []Revision{
						{"6.0.0", "Added the `FULL` modifier."},
						{"7.0.0", "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields"},
					},
					Args: []Arg{
						{Name: "key", Type: KeyArg},
						{Name: "full", Type: Block, Token: "FULL", Flags: Optional, Args: []Arg{
							{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional},
						}},
					},
					Key: stream.Info,
				},
			},
		},
		{
			Name: "xpending", Arity: -3,
			Flags:      ReadOnly,
			Categories: StreamData,
			Tips:       []string{"nondeterministic_output"},
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Return information and entries from a stream consumer group pending entries list, that are messages fetched but never acknowledged.",
			Complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
			History: []Revision{
				{"6.2.0", "Added the `IDLE` option and exclusive range intervals."},
			},
			Args: []Arg{
				{Name: "key", Type: KeyArg},
				{Name: "group"},
				{Name: "filters", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "min-idle-time", Type: IntegerArg, Token: "IDLE", Since: "6.2.0", Flags: Optional},
					{Name: "start"},
					{Name: "end"},
					{Name: "count", Type: IntegerArg},
					{Name: "consumer", Flags: Optional},
				}},
			},
			Key: stream.ListPending,
		},
		{
			Name: "xreadgroup", Arity: -7,
			Flags:      Write | Blocking | MovableKeys,
			Categories: StreamData,
			KeySpecs:   []KeySpec{{Flags: KeyRO | KeyAccess, Keyword: "STREAMS", First: 4, Last: -1, Step: 1, Limit: 2}},
			Group:      "stream", Since: "5.0.0",
			Summary:    "Return new entries from a stream using a consumer group, or access the history of the pending entries for a given consumer. Can block.",
			Complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
			Args: []Arg{
				{Name: "group_consumer", Type: Block, Token: "GROUP", Args: []Arg{
					{Name: "group"},
					{Name: "consumer"},
				}},
				{Name: "count", Type: IntegerArg, Token: "COUNT", Flags: Optional},
				{Name: "milliseconds", Type: IntegerArg, Token: "BLOCK", Flags: Optional},
				{Name: "noack", Type: PureToken, Token: "NOACK", Flags: Optional},
				{Name: "streams", Type: Block, Token: "STREAMS", Args: []Arg{
					{Name: "key", Type: KeyArg, Flags: Multiple},
					{Name: "id", Flags: Multiple},
				}},
			},
			Split: stream.ReadGroup,
		},
	}
}

const xgroupHelp = `XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter.
HELP
    Prints this help.
`

const xinfoHelp = `XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream.
HELP
    Prints this help.
`
