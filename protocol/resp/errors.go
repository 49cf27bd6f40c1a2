package resp

import (
	"bytes"
	"fmt"
	"strings"
)

// Redis's error replies, to the letter. Commands return these; nobody matches
// on their texts.
var (
	ErrWrongType  = Err("WRONGTYPE Operation against a key holding the wrong kind of value")
	ErrNotInteger = Err("ERR value is not an integer or out of range")
	ErrNotFloat   = Err("ERR value is not a valid float")
	ErrSyntax     = Err("ERR syntax error")
	ErrNoSuchKey  = Err("ERR no such key")
	ErrOutOfRange = Err("ERR index out of range")
	ErrOverflow   = Err("ERR increment or decrement would overflow")
	ErrTooLong    = Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
	ErrBusyKey    = Err("BUSYKEY Target key name already exists.")
)

// Synod's own errors (ARCHITECTURE, "What a client may rely on").
var (
	ErrClusterDown = Err("CLUSTERDOWN nothing was done: no quorum of the slot's nodes answered in time")
	ErrTryAgain    = Err("TRYAGAIN nothing was done: contention beyond the time limit")
	ErrUncertain   = Err("UNCERTAIN the outcome of this write is unknown")
)

// ErrArity is the reply to a command with the wrong number of arguments. name
// is in lower case, with "|sub" for a subcommand.
func ErrArity(name string) *Value {
	return Err("ERR wrong number of arguments for '" + name + "' command")
}

// ErrUnknownCommand is the reply to a command that is not in the table: the
// name as the client wrote it, cut at 128 bytes, and the beginning of its
// arguments, as Redis's commandCheckExistence puts them.
func ErrUnknownCommand(name []byte, args [][]byte) *Value {
	var list strings.Builder
	for _, a := range args {
		if list.Len() >= 128 {
			break
		}
		fmt.Fprintf(&list, "'%s' ", cut(a, 128-list.Len()))
	}
	return Err(oneLine(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", cut(name, 128), list.String())))
}

// ErrUnknownSubcommand is the reply to a container command's unknown
// subcommand; container is in upper case.
func ErrUnknownSubcommand(sub []byte, container string) *Value {
	return Err(oneLine(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", cut(sub, 128), container)))
}

// cut returns the beginning of b as Redis prints it: at most n bytes, and none
// from a zero byte on.
func cut(b []byte, n int) []byte {
	b = b[:min(len(b), n)]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// oneLine keeps an error within its line: Redis takes line ends off the end and
// replaces others by spaces.
func oneLine(s string) string {
	s = strings.TrimRight(s, "\r\n")
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
}

// ErrUnsupportedOption is the reply to an option that EXPIRE does not know.
func ErrUnsupportedOption(option []byte) *Value {
	return Err(oneLine(fmt.Sprintf("ERR Unsupported option %s", cut(option, len(option)))))
}
