package command

import "synod/proxy/datatype/hash"

// Shared by the commands on field expiry.
const (
	hashExpireSince      = "7.4.0"
	hashExpireComplexity = "O(N) where N is the number of specified fields"
)

// hashFieldsArg names the fields in these commands.
func hashFieldsArg() Arg {
	return Arg{Name: "fields", Type: Block, Token: "FIELDS", Args: []Arg{
		{Name: "numfields", Type: IntegerArg},
		{Name: "field", Flags: Multiple},
	}}
}

// hashExpireArgs are those of HEXPIRE, whose time is called so.
func hashExpireArgs(time string, typ ArgType) []Arg {
	return []Arg{
		{Name: "key", Type: KeyArg},
		{Name: time, Type: typ},
		{Name: "condition", Type: OneOf, Flags: Optional, Args: []Arg{
			{Name: "nx", Type: PureToken, Token: "NX"},
			{Name: "xx", Type: PureToken, Token: "XX"},
			{Name: "gt", Type: PureToken, Token: "GT"},
			{Name: "lt", Type: PureToken, Token: "LT"},
		}},
		hashFieldsArg(),
	}
}

// hashExpireCommands declares the commands on the expiry of hash fields, as
// documented by Redis 7.4.
func hashExpireCommands() []*Spec {
	commands := []*Spec{
		{
			Name:    "hexpire",
			Summary: "Set expiry for hash field using relative time to expire (seconds)",
			Args:    hashExpireArgs("seconds", IntegerArg),
			Key:     hash.Expire,
		},
		{
			Name:    "hexpireat",
			Summary: "Set expiry for hash field using an absolute Unix timestamp (seconds)",
			Args:    hashExpireArgs("unix-time-seconds", UnixTime),
			Key:     hash.ExpireAt,
		},
		{
			Name:    "hpexpire",
			Summary: "Set expiry for hash field using relative time to expire (milliseconds)",
			Args:    hashExpireArgs("milliseconds", IntegerArg),
			Key:     hash.PExpire,
		},
		{
			Name:    "hpexpireat",
			Summary: "Set expiry for hash field using an absolute Unix timestamp (milliseconds)",
			Args:    hashExpireArgs("unix-time-milliseconds", UnixTime),
			Key:     hash.PExpireAt,
		},
	}
	for _, s := range commands {
		s.Arity, s.Flags = -6, Write|DenyOOM|Fast
		s.KeySpecs = []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}}
	}
	commands = append(commands, &Spec{
		Name: "hpersist", Arity: -5,
		Flags:    Write | Fast,
		KeySpecs: []KeySpec{{Flags: KeyRW | KeyUpdate, First: 1, Step: 1}},
		Summary:  "Removes the expiration time for each specified field",
		Args:     []Arg{{Name: "key", Type: KeyArg}, hashFieldsArg()},
		Key:      hash.Persist,
	})
	commands = append(commands, hashTimeCommands()...)
	for _, s := range commands {
		s.Categories, s.Group = HashData, "hash"
		s.Since, s.Complexity = hashExpireSince, hashExpireComplexity
	}
	return commands
}

// hashTimeCommands declares the commands that return expiry times of fields.
func hashTimeCommands() []*Spec {
	commands := []*Spec{
		{
			Name:    "hexpiretime",
			Summary: "Returns the expiration time of a hash field as a Unix timestamp, in seconds.",
			Key:     hash.ExpireTime,
		},
		{
			Name:    "hpexpiretime",
			Summary: "Returns the expiration time of a hash field as a Unix timestamp, in msec.",
			Key:     hash.PExpireTime,
		},
		{
			Name:    "hpttl",
			Summary: "Returns the TTL in milliseconds of a hash field.",
			Key:     hash.PTTL,
		},
		{
			Name:    "httl",
			Summary: "Returns the TTL in seconds of a hash field.",
			Key:     hash.TTL,
		},
	}
	for _, s := range commands {
		s.Arity, s.Flags = -5, ReadOnly|Fast
		s.KeySpecs = []KeySpec{{Flags: KeyRO | KeyAccess, First: 1, Step: 1}}
		s.Args = []Arg{{Name: "key", Type: KeyArg}, hashFieldsArg()}
	}
	return commands
}
