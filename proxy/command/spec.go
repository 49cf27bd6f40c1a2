// Package command is the single table of all commands. Each entry has the
// command's arity, flags, key positions and documentation as stated by Redis
// 7.0, and its implementation. COMMAND's replies, routing, access control and
// the checks before a command runs all use this table; there is no second list.
//
// The table is complete before main starts and never changes; everything here
// is safe for concurrent use.
package command

import (
	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// Split is a command on several registers.
type Split = datatype.Split

// Spec declares one command or subcommand. At most one of Key, Split and Local
// is set. If none is and there are no Subcommands, the front end binds a
// function to the FullName, because the command concerns the connection or the
// whole server.
type Spec struct {
	Name string // lower case; a subcommand's without its container
	// Arity is the number of arguments including the name (and a subcommand's
	// name). A negative number means at least that many.
	Arity      int
	Flags      Flag
	Categories Category // in addition to those implied by the flags
	Tips       []string
	KeySpecs   []KeySpec

	Group      string
	Since      string
	Summary    string
	Complexity string
	// Deprecated is the version since which the command is deprecated in
	// favour of ReplacedBy.
	Deprecated string
	ReplacedBy string
	History    []Revision
	Args       []Arg

	Subcommands []*Spec

	// Key parses a command on one register, whose key is args[FirstKey] and
	// whose name is args[0]. It returns the operation, or the error reply. The
	// operation keeps a reference to args, which must not change until the
	// reply is written.
	Key func(args [][]byte) (operation.Operation, *resp.Value)
	// Split parses a command on several registers.
	Split func(args [][]byte) (*Split, *resp.Value)
	// Local answers a command that needs only its arguments and this table.
	Local func(args [][]byte) *resp.Value

	// The rest is derived when the table is built.

	FullName string // "get", "client|id"
	// FirstKey, LastKey and Step are the key positions as shown by COMMAND
	// INFO. A negative LastKey counts from the end. All are zero if there are
	// no keys.
	FirstKey, LastKey, Step int
}

// Flag is a one-word property of a command in Redis.
type Flag uint32

// The flags, in the order in which COMMAND INFO prints them.
const (
	Write Flag = 1 << iota
	ReadOnly
	DenyOOM
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	Asking
	Fast
	NoAuth
	NoMandatoryKeys
	NoAsyncLoading
	NoMulti
	MovableKeys
	AllowBusy
)

var flagNames = []string{
	"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
	"skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "no_mandatory_keys",
	"no_async_loading", "no_multi", "movablekeys", "allow_busy",
}

// Has reports whether all the flags of f are set.
func (s *Spec) Has(f Flag) bool { return s.Flags&f == f }

// Names returns the flags' names as COMMAND INFO prints them.
func (f Flag) Names() []string { return bitNames(uint32(f), flagNames) }

// Category is a set of ACL categories.
type Category uint32

// The ACL categories, in the order in which COMMAND INFO prints them.
const (
	Keyspace Category = 1 << iota
	Read
	Writing
	SetData
	SortedSetData
	ListData
	HashData
	StringData
	BitmapData
	HyperLogLogData
	GeoData
	StreamData
	PubSubData
	Administration
	FastCommand
	SlowCommand
	BlockingCommand
	Dangerous
	Connection
	Transaction
	Scripting
)

var categoryNames = []string{
	"@keyspace", "@read", "@write", "@set", "@sortedset", "@list", "@hash", "@string", "@bitmap",
	"@hyperloglog", "@geo", "@stream", "@pubsub", "@admin", "@fast", "@slow", "@blocking",
	"@dangerous", "@connection", "@transaction", "@scripting",
}

// Names returns the categories' names, each with its "@".
func (c Category) Names() []string { return bitNames(uint32(c), categoryNames) }

// implied returns the categories implied by the flags.
func (f Flag) implied() Category {
	c := SlowCommand
	if f&Fast != 0 {
		c = FastCommand
	}
	for _, i := range []struct {
		flag Flag
		c    Category
	}{
		{Write, Writing}, {ReadOnly, Read}, {Admin, Administration | Dangerous},
		{PubSub, PubSubData}, {Blocking, BlockingCommand},
	} {
		if f&i.flag != 0 {
			c |= i.c
		}
	}
	return c
}

// KeySpec says where a command's keys are and what it does with them.
type KeySpec struct {
	Notes string
	Flags KeyFlag
	First int // position of the first key
	// Last is the last key's position relative to First or, if negative,
	// relative to the end (-1: the last argument).
	Last int
	Step int // from one key to the next
	// KeyNum says that the argument at First is the number of keys, which
	// follow it; Last is then unused.
	KeyNum bool
	// Keyword, if not empty, is the word before the keys. The search for it
	// starts at First.
	Keyword string
	// Limit, with a Keyword, divides the arguments after it into this many
	// equal parts; the first part has the keys.
	Limit int
	// Unknown means that no rule describes the keys; First, Last and Step are
	// unused. Find, if not nil, returns the position of a request's only key,
	// zero for none. Without Find, a request's keys cannot be determined.
	Unknown bool
	Find    func(args [][]byte) int
	// FlagsOf, if not nil, returns the key flags of a request, if they depend
	// on its arguments (KeyVariableFlags).
	FlagsOf func(args [][]byte) KeyFlag
}

// KeyFlag is what a command does with a key.
type KeyFlag uint32

// The key flags, in the order in which COMMAND INFO prints them.
const (
	KeyRO KeyFlag = 1 << iota
	KeyRW
	KeyOW
	KeyRM
	KeyAccess
	KeyUpdate
	KeyInsert
	KeyDelete
	KeyVariableFlags
)

var keyFlagNames = []string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "variable_flags",
}

// Names returns the flags' names as COMMAND INFO prints them.
func (f KeyFlag) Names() []string { return bitNames(uint32(f), keyFlagNames) }

// Revision is an entry in a command's history.
type Revision struct {
	Since string
	What  string
}

// Arg documents an argument or, with Args, a group or choice of arguments.
type Arg struct {
	Name       string
	Type       ArgType
	KeySpec    int    // of a KeyArg: index into KeySpecs; of a PatternArg, if positive
	Token      string // the word before the argument, or the argument itself
	Since      string
	Deprecated string
	Flags      ArgFlag
	Args       []Arg // of OneOf and Block
}

// ArgType is an argument's type.
type ArgType uint8

// The types of arguments.
const (
	StringArg ArgType = iota
	IntegerArg
	DoubleArg
	KeyArg
	PatternArg
	UnixTime
	PureToken
	OneOf
	Block
)

var argTypeNames = []string{
	"string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof", "block",
}

// ArgFlag says how often an argument may occur.
type ArgFlag uint8

// The argument flags.
const (
	Optional ArgFlag = 1 << iota
	Multiple
	MultipleToken // each occurrence repeats the token
)

var argFlagNames = []string{"optional", "multiple", "multiple_token"}

func bitNames(bits uint32, names []string) []string {
	var out []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}
