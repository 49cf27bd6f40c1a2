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

// Synod's own errors (docs/errors.md).
var (
	ErrClusterDown = Err("CLUSTERDOWN nothing was done: no quorum of the slot's nodes answered in time")
	ErrTryAgain    = Err("TRYAGAIN nothing was done: contention beyond the time limit")
	ErrDisksFull   = Err("OOM nothing was done: the disks of the slot's nodes are nearly full")
	ErrUncertain   = Err("UNCERTAIN the outcome of this write is unknown")
)

// ErrArity is the reply to a command with the wrong number of arguments. name
// is in lower case, with "|sub" for a subcommand.
func ErrArity(name string) *Value {
	return Err("ERR wrong number of arguments for '" + name + "' command")
}

// Errf returns a Failure that quotes what a client wrote, as Redis prints that:
// up to the first zero byte, and all on one line. Line ends at the end are left
// out, others become spaces.
func Errf(format string, quoted ...[]byte) *Value {
	words := make([]any, len(quoted))
	for i, q := range quoted {
		words[i] = cut(q, len(q))
	}
	line := strings.TrimRight(fmt.Sprintf(format, words...), "\r\n")
	return Err(strings.NewReplacer("\r", " ", "\n", " ").Replace(line))
}

// cut returns the beginning of b as Redis prints it: at most n bytes, and none
// from a zero byte on.
func cut(b []byte, n int) []byte {
	b, _, _ = bytes.Cut(b[:min(len(b), n)], []byte{0})
	return b
}

// longest is how much Redis prints of a name, or of arguments, that it does not
// know.
const longest = 128

// ErrUnknownCommand is the reply to a command that is not in the table: the
// name as the client wrote it, and the beginning of its arguments, as Redis's
// commandCheckExistence puts them.
func ErrUnknownCommand(name []byte, args [][]byte) *Value {
	var list []byte
	for _, a := range args {
		if len(list) >= longest {
			break
		}
		list = fmt.Appendf(list, "'%s' ", cut(a, longest-len(list)))
	}
	return Errf("ERR unknown command '%s', with args beginning with: %s", cut(name, longest), list)
}

// ErrUnknownSubcommand is the reply to a container command's unknown
// subcommand; container is in upper case.
func ErrUnknownSubcommand(sub []byte, container string) *Value {
	return Errf("ERR unknown subcommand '%s'. Try "+container+" HELP.", cut(sub, longest))
}

// ErrSubcommand is the reply to a subcommand with arguments that make no sense;
// container is in upper case.
func ErrSubcommand(sub []byte, container string) *Value {
	return Errf("ERR unknown subcommand or wrong number of arguments for '%s'. Try "+container+" HELP.", cut(sub, longest))
}

// ErrUnsupportedOption is the reply to an option that EXPIRE does not know.
func ErrUnsupportedOption(option []byte) *Value {
	return Errf("ERR Unsupported option %s", option)
}
