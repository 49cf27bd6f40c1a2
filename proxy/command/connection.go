package command

// connectionCommands declares the commands about the client's connection.
func connectionCommands() []*Spec {
	return []*Spec{
		{
			Name: "auth", Arity: -2,
			Flags:      NoScript | Loading | Stale | Fast | NoAuth | AllowBusy,
			Categories: Connection,
			Group:      "connection", Since: "1.0.0",
			Summary:    "Authenticate to the server",
			Complexity: "O(N) where N is the number of passwords defined for the user",
			History: []Revision{
				{"6.0.0", "Added ACL style (username and password)."},
			},
			Args: []Arg{
				{Name: "username", Since: "6.0.0", Flags: Optional},
				{Name: "password"},
			},
		},
		{
			Name: "client", Arity: -2,
			Group: "connection", Since: "2.4.0",
			Summary:    "A container for client connection commands",
			Complexity: "Depends on subcommand.",
			Subcommands: []*Spec{
				{
					Name: "caching", Arity: 3,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "6.0.0",
					Summary:    "Instruct the server about tracking or not keys in the next request",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "mode", Type: OneOf, Args: []Arg{
							{Name: "yes", Type: PureToken, Token: "YES"},
							{Name: "no", Type: PureToken, Token: "NO"},
						}},
					},
				},
				{
					Name: "getname", Arity: 2,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "2.6.9",
					Summary:    "Get the current connection name",
					Complexity: "O(1)",
				},
				{
					Name: "getredir", Arity: 2,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "6.0.0",
					Summary:    "Get tracking notifications redirection client ID if any",
					Complexity: "O(1)",
				},
				{
					Name: "help", Arity: 2,
					Flags:      Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "5.0.0",
					Summary:    "Show helpful text about the different subcommands",
					Complexity: "O(1)",
					Local:      help(clientHelp),
				},
				{
					Name: "id", Arity: 2,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "5.0.0",
					Summary:    "Returns the client ID for the current connection",
					Complexity: "O(1)",
				},
				{
					Name: "info", Arity: 2,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Tips:       []string{"nondeterministic_output"},
					Group:      "connection", Since: "6.2.0",
					Summary:    "Returns information about the current client connection.",
					Complexity: "O(1)",
				},
				{
					Name: "kill", Arity: -3,
					Flags:      Admin | NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "2.4.0",
					Summary:    "Kill the connection of a client",
					Complexity: "O(N) where N is the number of client connections",
					History: []Revision{
						{"2.8.12", "Added new filter format."},
						{"2.8.12", "`ID` option."},
						{"3.2.0", "Added `master` type in for `TYPE` option."},
						{"5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."},
						{"6.2.0", "`LADDR` option."},
					},
					Args: []Arg{
						{Name: "filter", Type: OneOf, Args: []Arg{
							{Name: "ip:port", Deprecated: "2.8.12"},
							{Name: "new-format", Type: OneOf, Flags: Multiple, Args: []Arg{
								{Name: "client-id", Type: IntegerArg, Token: "ID", Since: "2.8.12", Flags: Optional},
								{Name: "normal_master_slave_pubsub", Type: OneOf, Token: "TYPE", Since: "2.8.12", Flags: Optional, Args: []Arg{
									{Name: "normal", Type: PureToken, Token: "NORMAL"},
									{Name: "master", Type: PureToken, Token: "MASTER", Since: "3.2.0"},
									{Name: "slave", Type: PureToken, Token: "SLAVE"},
									{Name: "replica", Type: PureToken, Token: "REPLICA", Since: "5.0.0"},
									{Name: "pubsub", Type: PureToken, Token: "PUBSUB"},
								}},
								{Name: "username", Token: "USER", Flags: Optional},
								{Name: "ip:port", Token: "ADDR", Flags: Optional},
								{Name: "ip:port", Token: "LADDR", Since: "6.2.0", Flags: Optional},
								{Name: "yes/no", Token: "SKIPME", Flags: Optional},
							}},
						}},
					},
				},
				{
					Name: "list", Arity: -2,
					Flags:      Admin | NoScript | Loading | Stale,
					Categories: Connection,
					Tips:       []string{"nondeterministic_output"},
					Group:      "connection", Since: "2.4.0",
					Summary:    "Get the list of client connections",
					Complexity: "O(N) where N is the number of client connections",
					History: []Revision{
						{"2.8.12", "Added unique client `id` field."},
						{"5.0.0", "Added optional `TYPE` filter."},
						{"6.0.0", "Added `user` field."},
						{"6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."},
						{"7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."},
						{"7.0.3", "Added `ssub` field."},
					},
					Args: []Arg{
						{Name: "normal_master_replica_pubsub", Type: OneOf, Token: "TYPE", Since: "5.0.0", Flags: Optional, Args: []Arg{
							{Name: "normal", Type: PureToken, Token: "NORMAL"},
							{Name: "master", Type: PureToken, Token: "MASTER"},
							{Name: "replica", Type: PureToken, Token: "REPLICA"},
							{Name: "pubsub", Type: PureToken, Token: "PUBSUB"},
						}},
						{Name: "id", Type: Block, Token: "ID", Since: "6.2.0", Flags: Optional, Args: []Arg{
							{Name: "client-id", Type: IntegerArg, Flags: Multiple},
						}},
					},
				},
				{
					Name: "no-evict", Arity: 3,
					Flags:      Admin | NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "7.0.0",
					Summary:    "Set client eviction mode for the current connection",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "enabled", Type: OneOf, Args: []Arg{
							{Name: "on", Type: PureToken, Token: "ON"},
							{Name: "off", Type: PureToken, Token: "OFF"},
						}},
					},
				},
				{
					Name: "pause", Arity: -3,
					Flags:      Admin | NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "2.9.50",
					Summary:    "Stop processing commands from clients for some time",
					Complexity: "O(1)",
					History: []Revision{
						{"6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."},
					},
					Args: []Arg{
						{Name: "timeout", Type: IntegerArg},
						{Name: "mode", Type: OneOf, Since: "6.2.0", Flags: Optional, Args: []Arg{
							{Name: "write", Type: PureToken, Token: "WRITE"},
							{Name: "all", Type: PureToken, Token: "ALL"},
						}},
					},
				},
				{
					Name: "reply", Arity: 3,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "3.2.0",
					Summary:    "Instruct the server whether to reply to commands",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "on_off_skip", Type: OneOf, Args: []Arg{
							{Name: "on", Type: PureToken, Token: "ON"},
							{Name: "off", Type: PureToken, Token: "OFF"},
							{Name: "skip", Type: PureToken, Token: "SKIP"},
						}},
					},
				},
				{
					Name: "setname", Arity: 3,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "2.6.9",
					Summary:    "Set the current connection name",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "connection-name"},
					},
				},
				{
					Name: "trackinginfo", Arity: 2,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "6.2.0",
					Summary:    "Return information about server assisted client side caching for the current connection",
					Complexity: "O(1)",
				},
				{
					Name: "unpause", Arity: 2,
					Flags:      Admin | NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "6.2.0",
					Summary:    "Resume processing of clients that were paused",
					Complexity: "O(N) Where N is the number of paused clients",
				},
				{
					Name: "no-touch", Arity: 3,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Group:      "connection", Since: "7.2.0",
					Summary:    "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "enabled", Type: OneOf, Args: []Arg{
							{Name: "on", Type: PureToken, Token: "ON"},
							{Name: "off", Type: PureToken, Token: "OFF"},
						}},
					},
				},
				{
					Name: "setinfo", Arity: 4,
					Flags:      NoScript | Loading | Stale,
					Categories: Connection,
					Tips:       []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
					Group:      "connection", Since: "7.2.0",
					Summary:    "Sets information specific to the client or connection.",
					Complexity: "O(1)",
					Args: []Arg{
						{Name: "attr", Type: OneOf, Args: []Arg{
							{Name: "libname", Token: "LIB-NAME"},
							{Name: "libver", Token: "LIB-VER"},
						}},
					},
				},
			},
		},
		{
			Name: "echo", Arity: 2,
			Flags:      Loading | Stale | Fast,
			Categories: Connection,
			Group:      "connection", Since: "1.0.0",
			Summary:    "Echo the given string",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "message"},
			},
			Local: echo,
		},
		{
			Name: "hello", Arity: -1,
			Flags:      NoScript | Loading | Stale | Fast | NoAuth | AllowBusy,
			Categories: Connection,
			Group:      "connection", Since: "6.0.0",
			Summary:    "Handshake with Redis",
			Complexity: "O(1)",
			History: []Revision{
				{"6.2.0", "`protover` made optional; when called without arguments the command reports the current connection's context."},
			},
			Args: []Arg{
				{Name: "arguments", Type: Block, Flags: Optional, Args: []Arg{
					{Name: "protover", Type: IntegerArg},
					{Name: "username_password", Type: Block, Token: "AUTH", Flags: Optional, Args: []Arg{
						{Name: "username"},
						{Name: "password"},
					}},
					{Name: "clientname", Token: "SETNAME", Flags: Optional},
				}},
			},
		},
		{
			Name: "ping", Arity: -1,
			Flags:      Fast,
			Categories: Connection,
			Tips:       []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Group:      "connection", Since: "1.0.0",
			Summary:    "Ping the server",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "message", Flags: Optional},
			},
		},
		{
			Name: "quit", Arity: -1,
			Flags:      NoScript | Loading | Stale | Fast | NoAuth | AllowBusy,
			Categories: Connection,
			Group:      "connection", Since: "1.0.0",
			Summary:    "Close the connection",
			Complexity: "O(1)",
		},
		{
			Name: "reset", Arity: 1,
			Flags:      NoScript | Loading | Stale | Fast | NoAuth | AllowBusy,
			Categories: Connection,
			Group:      "connection", Since: "6.2.0",
			Summary:    "Reset the connection",
			Complexity: "O(1)",
		},
		{
			Name: "select", Arity: 2,
			Flags:      Loading | Stale | Fast,
			Categories: Connection,
			Group:      "connection", Since: "1.0.0",
			Summary:    "Change the selected database for the current connection",
			Complexity: "O(1)",
			Args: []Arg{
				{Name: "index", Type: IntegerArg},
			},
		},
	}
}
