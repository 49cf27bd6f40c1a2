package command

import (
	"slices"
	"strings"

	"synod/protocol/resp"
)

// maxName is the length of the longest name in the table.
const maxName = 24

var (
	commands = map[string]*Spec{}
	// ordered has the top-level commands by name, for listings.
	ordered []*Spec
)

// The families are added here instead of in initializers, because COMMAND's
// functions read the table that contains them.
func init() {
	for _, family := range [][]*Spec{
		stringCommands(), bitmapCommands(), listCommands(), hashCommands(), hashExpireCommands(), setCommands(), sortedSetCommands(),
		streamCommands(), hyperloglogCommands(), geoCommands(), genericCommands(), sortCommands(),
		connectionCommands(), serverCommands(),
	} {
		for _, s := range family {
			s.complete(nil)
			commands[s.Name] = s
			ordered = append(ordered, s)
		}
	}
	slices.SortFunc(ordered, func(a, b *Spec) int { return strings.Compare(a.Name, b.Name) })
}

// complete fills in the derived fields.
func (s *Spec) complete(container *Spec) {
	s.FullName = s.Name
	if container != nil {
		s.FullName = container.Name + "|" + s.Name
	}
	s.Categories |= s.Flags.implied()
	if len(s.KeySpecs) > 0 && !s.KeySpecs[0].KeyNum && s.KeySpecs[0].Keyword == "" {
		k := s.KeySpecs[0]
		s.FirstKey, s.LastKey, s.Step = k.First, k.Last, k.Step
		if k.Last >= 0 {
			s.LastKey += k.First
		}
	}
	for _, sub := range s.Subcommands {
		sub.complete(s)
	}
}

// Lookup returns the command with the name, ignoring case, or nil.
func Lookup(name []byte) *Spec {
	var lower [maxName]byte
	if len(name) > len(lower) {
		return nil
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return commands[string(lower[:len(name)])]
}

// All returns the top-level commands sorted by name, without subcommands. The
// caller must not modify the slice.
func All() []*Spec { return ordered }

// Subcommand returns the subcommand with the name, ignoring case, or nil.
func (s *Spec) Subcommand(name []byte) *Spec {
	for _, sub := range s.Subcommands {
		if len(name) == len(sub.Name) && strings.EqualFold(sub.Name, string(name)) {
			return sub
		}
	}
	return nil
}

// Resolve returns the command that the arguments invoke, or the subcommand if a
// container is followed by one. If the command does not exist or the number of
// arguments is wrong, it returns Redis's error. args must not be empty.
func Resolve(args [][]byte) (*Spec, *resp.Value) {
	s := Lookup(args[0])
	if s == nil {
		return nil, resp.ErrUnknownCommand(args[0], args[1:])
	}
	if len(s.Subcommands) > 0 && len(args) > 1 {
		sub := s.Subcommand(args[1])
		if sub == nil {
			return nil, resp.ErrUnknownSubcommand(args[1], strings.ToUpper(s.Name))
		}
		s = sub
	}
	if !s.takes(len(args)) {
		return nil, resp.ErrArity(s.FullName)
	}
	return s, nil
}

func (s *Spec) takes(n int) bool { return n == s.Arity || (s.Arity < 0 && n >= -s.Arity) }
