package command

// serverCommands declares the commands about the server as a whole.
func serverCommands() []*Spec {
	return []*Spec{
		{
			Name: "command", Arity: -1,
			Flags:      Loading | Stale,
			Categories: Connection,
			Tips:       []string{"nondeterministic_output_order"},
			Group:      "server", Since: "2.8.13",
			Summary:    "Get array of Redis command details",
			Complexity: "O(N) where N is the total number of Redis commands",
			Subcommands: []*Spec{
				{
					Name: "count", Arity: 2,
					Flags:      Loading | Stale,
					Categories: Connection,
					Group:      "server", Since: "2.8.13",
					Summary:    "Get total number of Redis commands",
					Complexity: "O(1)",
					Local:      countReply,
				},
				{
					Name: "docs", Arity: -2,
					Flags:      Loading | Stale,
					Categories: Connection,
					Tips:       []string{"nondeterministic_output_order"},
					Group:      "server", Since: "7.0.0",
					Summary:    "Get array of specific Redis command documentation",
					Complexity: "O(N) where N is the number of commands to look up",
					Args: []Arg{
						{Name: "command-name", Flags: Optional | Multiple},
					},
					Local: docsReply,
				},
				{
					Name: "getkeys", Arity: -4,
					Flags:      Loading | Stale,
					Categories: Connection,
					Group:      "server", Since: "2.8.13",
					Summary:    "Extract keys given a full Redis command",
					Complexity: "O(N) where N is the number of arguments to the command",
					Local:      keysReply,
				},
				{
					Name: "getkeysandflags", Arity: -4,
					Flags:      Loading | Stale,
					Categories: Connection,
					Group:      "server", Since: "7.0.0",
					Summary:    "Extract keys and access flags given a full Redis command",
					Complexity: "O(N) where N is the number of arguments to the command",
					Local:      keysAndFlagsReply,
				},
				{
					Name: "help", Arity: 2,
					Flags:      Loading | Stale,
					Categories: Connection,
					Group:      "server", Since: "5.0.0",
					Summary:    "Show helpful text about the different subcommands",
					Complexity: "O(1)",
					Local:      help(commandHelp),
				},
				{
					Name: "info", Arity: -2,
					Flags:      Loading | Stale,
					Categories: Connection,
					Tips:       []string{"nondeterministic_output_order"},
					Group:      "server", Since: "2.8.13",
					Summary:    "Get array of specific Redis command details, or all when no argument is given.",
					Complexity: "O(N) where N is the number of commands to look up",
					History: []Revision{
						{"7.0.0", "Allowed to be called with no argument to get info on all commands."},
					},
					Args: []Arg{
						{Name: "command-name", Flags: Optional | Multiple},
					},
					Local: infoReply,
				},
				{
					Name: "list", Arity: -2,
					Flags:      Loading | Stale,
					Categories: Connection,
					Tips:       []string{"nondeterministic_output_order"},
					Group:      "server", Since: "7.0.0",
					Summary:    "Get an array of Redis command names",
					Complexity: "O(N) where N is the total number of Redis commands",
					Args: []Arg{
						{Name: "filterby", Type: OneOf, Token: "FILTERBY", Flags: Optional, Args: []Arg{
							{Name: "module-name", Token: "MODULE"},
							{Name: "category", Token: "ACLCAT"},
							{Name: "pattern", Type: PatternArg, Token: "PATTERN"},
						}},
					},
					Local: listReply,
				},
			},
			Local: allReply,
		},
		{
			Name: "config", Arity: -2,
			Group: "server", Since: "2.0.0",
			Summary:    "A container for server configuration commands",
			Complexity: "Depends on subcommand.",
			Subcommands: []*Spec{
				{
					Name: "get", Arity: -3,
					Flags: Admin | NoScript | Loading | Stale,
					Group: "server", Since: "2.0.0",
					Summary:    "Get the values of configuration parameters",
					Complexity: "O(N) when N is the number of configuration parameters provided",
					History: []Revision{
						{"7.0.0", "Added the ability to pass multiple pattern parameters in one call"},
					},
					Args: []Arg{
						{Name: "parameter", Type: Block, Flags: Multiple, Args: []Arg{
							{Name: "parameter"},
						}},
					},
				},
				{
					Name: "help", Arity: 2,
					Flags: Loading | Stale,
					Group: "server", Since: "5.0.0",
					Summary:    "Show helpful text about the different subcommands",
					Complexity: "O(1)",
					Local:      help(configHelp),
				},
				{
					Name: "resetstat", Arity: 2,
					Flags: Admin | NoScript | Loading | Stale,
					Group: "server", Since: "2.0.0",
					Summary:    "Reset the stats returned by INFO",
					Complexity: "O(1)",
				},
				{
					Name: "rewrite", Arity: 2,
					Flags: Admin | NoScript | Loading | Stale,
					Group: "server", Since: "2.8.0",
					Summary:    "Rewrite the configuration file with the in memory configuration",
					Complexity: "O(1)",
				},
				{
					Name: "set", Arity: -4,
					Flags: Admin | NoScript | Loading | Stale,
					Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
					Group: "server", Since: "2.0.0",
					Summary:    "Set configuration parameters to the given values",
					Complexity: "O(N) when N is the number of configuration parameters provided",
					History: []Revision{
						{"7.0.0", "Added the ability to set multiple parameters in one call."},
					},
					Args: []Arg{
						{Name: "parameter_value", Type: Block, Flags: Multiple, Args: []Arg{
							{Name: "parameter"},
							{Name: "value"},
						}},
					},
				},
			},
		},
		{
			Name: "dbsize", Arity: 1,
			Flags:      ReadOnly | Fast,
			Categories: Keyspace,
			Tips:       []string{"request_policy:all_shards", "response_policy:agg_sum"},
			Group:      "server", Since: "1.0.0",
			Summary:    "Return the number of keys in the selected database",
			Complexity: "O(1)",
		},
		{
			Name: "flushall", Arity: -1,
			Flags:      Write,
			Categories: Keyspace | Dangerous,
			Tips:       []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Group:      "server", Since: "1.0.0",
			Summary:    "Remove all keys from all databases",
			Complexity: "O(N) where N is the total number of keys in all databases",
			History: []Revision{
				{"4.0.0", "Added the `ASYNC` flushing mode modifier."},
				{"6.2.0", "Added the `SYNC` flushing mode modifier."},
			},
			Args: []Arg{
				{Name: "async", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "async", Type: PureToken, Token: "ASYNC", Since: "4.0.0"},
					{Name: "sync", Type: PureToken, Token: "SYNC", Since: "6.2.0"},
				}},
			},
		},
		{
			Name: "flushdb", Arity: -1,
			Flags:      Write,
			Categories: Keyspace | Dangerous,
			Tips:       []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Group:      "server", Since: "1.0.0",
			Summary:    "Remove all keys from the current database",
			Complexity: "O(N) where N is the number of keys in the selected database",
			History: []Revision{
				{"4.0.0", "Added the `ASYNC` flushing mode modifier."},
				{"6.2.0", "Added the `SYNC` flushing mode modifier."},
			},
			Args: []Arg{
				{Name: "async", Type: OneOf, Flags: Optional, Args: []Arg{
					{Name: "async", Type: PureToken, Token: "ASYNC", Since: "4.0.0"},
					{Name: "sync", Type: PureToken, Token: "SYNC", Since: "6.2.0"},
				}},
			},
		},
		{
			Name: "info", Arity: -1,
			Flags:      Loading | Stale,
			Categories: Dangerous,
			Tips:       []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
			Group:      "server", Since: "1.0.0",
			Summary:    "Get information and statistics about the server",
			Complexity: "O(1)",
			History: []Revision{
				{"7.0.0", "Added support for taking multiple section arguments."},
			},
			Args: []Arg{
				{Name: "section", Flags: Optional | Multiple},
			},
		},
		{
			Name: "lolwut", Arity: -1,
			Flags: ReadOnly | Fast,
			Group: "server", Since: "5.0.0",
			Summary: "Display some computer art and the Redis version",
			Args: []Arg{
				{Name: "version", Type: IntegerArg, Token: "VERSION", Flags: Optional},
			},
		},
		{
			Name: "time", Arity: 1,
			Flags: Loading | Stale | Fast,
			Tips:  []string{"nondeterministic_output"},
			Group: "server", Since: "2.6.0",
			Summary:    "Return the current server time",
			Complexity: "O(1)",
		},
	}
}
