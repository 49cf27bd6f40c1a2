package command

import (
	"bytes"
	"slices"
	"strings"

	"synod/protocol/resp"
	"synod/proxy/datatype/glob"
)

// COMMAND's replies, generated from the table.

var (
	errNoKeys       = resp.Err("ERR The command has no key arguments")
	errNoCommand    = resp.Err("ERR Invalid command specified")
	errKeyArguments = resp.Err("ERR Invalid arguments specified for command")
	errCommandArity = resp.Err("ERR Invalid number of arguments specified for command")
)

func allReply([][]byte) *resp.Value {
	elems := make([]resp.Value, len(ordered))
	for i, s := range ordered {
		elems[i] = s.info()
	}
	return resp.List(elems...)
}

func countReply([][]byte) *resp.Value { return resp.Int(int64(len(ordered))) }

// byFullName returns the command or subcommand with the name, ignoring case, or
// nil.
func byFullName(name []byte) *Spec {
	container, sub, isSub := bytes.Cut(name, []byte("|"))
	s := Lookup(container)
	if isSub && s != nil {
		return s.Subcommand(sub)
	}
	return s
}

func infoReply(args [][]byte) *resp.Value {
	if len(args) == 2 {
		return allReply(args)
	}
	elems := make([]resp.Value, 0, len(args)-2)
	for _, name := range args[2:] {
		if s := byFullName(name); s != nil {
			elems = append(elems, s.info())
		} else {
			elems = append(elems, *resp.Nil)
		}
	}
	return resp.List(elems...)
}

func docsReply(args [][]byte) *resp.Value {
	specs := ordered
	if len(args) > 2 {
		specs = nil
		for _, name := range args[2:] {
			if s := byFullName(name); s != nil {
				specs = append(specs, s)
			}
		}
	}
	var m fields
	for _, s := range specs {
		m.put(s.FullName, s.docs())
	}
	return new(m.value())
}

// listReply answers COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN
// pattern].
func listReply(args [][]byte) *resp.Value {
	keep := func(*Spec) bool { return true }
	if len(args) > 2 {
		if keep = filter(args[2:]); keep == nil {
			return resp.ErrSyntax
		}
	}
	elems := []resp.Value{}
	var visit func([]*Spec)
	visit = func(specs []*Spec) {
		for _, s := range specs {
			if keep(s) {
				elems = append(elems, *resp.Text(s.FullName))
			}
			visit(s.Subcommands)
		}
	}
	visit(ordered)
	return resp.List(elems...)
}

func filter(args [][]byte) func(*Spec) bool {
	if len(args) != 3 || !bytes.EqualFold(args[0], []byte("filterby")) {
		return nil
	}
	switch strings.ToLower(string(args[1])) {
	case "module": // there are no modules
		return func(*Spec) bool { return false }
	case "aclcat":
		category := "@" + strings.ToLower(string(args[2]))
		return func(s *Spec) bool { return slices.Contains(s.Categories.Names(), category) }
	case "pattern":
		return func(s *Spec) bool { return glob.MatchFold(args[2], []byte(s.FullName)) }
	}
	return nil
}

func keysReply(args [][]byte) *resp.Value {
	return eachKeyReply(args, func(key []byte, _ KeyFlag) resp.Value { return *resp.Bytes(key) })
}

func keysAndFlagsReply(args [][]byte) *resp.Value {
	return eachKeyReply(args, func(key []byte, f KeyFlag) resp.Value {
		return *resp.List(*resp.Bytes(key), words(f.Names()))
	})
}

func eachKeyReply(args [][]byte, describe func([]byte, KeyFlag) resp.Value) *resp.Value {
	args = args[2:]
	s := Lookup(args[0])
	if s != nil && len(s.Subcommands) > 0 && len(args) > 1 {
		s = s.Subcommand(args[1])
	}
	switch {
	case s == nil:
		return errNoCommand
	case len(s.KeySpecs) == 0:
		return errNoKeys
	case !s.takes(len(args)):
		return errCommandArity
	}
	var elems []resp.Value
	s.eachKey(args, func(key []byte, f KeyFlag) { elems = append(elems, describe(key, f)) })
	if len(elems) == 0 {
		return errKeyArguments
	}
	return resp.List(elems...)
}

// info is the command's entry in COMMAND INFO.
func (s *Spec) info() resp.Value {
	keySpecs := make([]resp.Value, len(s.KeySpecs))
	for i := range s.KeySpecs {
		keySpecs[i] = s.KeySpecs[i].info()
	}
	subs := set(nil) // an empty list is a set, as in Redis
	for _, sub := range s.Subcommands {
		subs.Kind = resp.Array
		subs.Elems = append(subs.Elems, sub.info())
	}
	return *resp.List(
		*resp.Text(s.FullName), integer(s.Arity), words(s.Flags.Names()),
		integer(s.FirstKey), integer(s.LastKey), integer(s.Step),
		words(s.Categories.Names()), texts(s.Tips), set(keySpecs), subs,
	)
}

func (k *KeySpec) info() resp.Value {
	var m, begin, where, find fields
	if k.Notes != "" {
		m.text("notes", k.Notes)
	}
	m.put("flags", words(k.Flags.Names()))
	search := "index"
	switch {
	case k.Unknown:
		search = "unknown"
	case k.Keyword == "":
		where.put("index", integer(k.First))
	default:
		search = "keyword"
		where.text("keyword", k.Keyword)
		where.put("startfrom", integer(k.First))
	}
	begin.text("type", search)
	begin.put("spec", where.value())
	m.put("begin_search", begin.value())
	kind, span := k.find()
	find.text("type", kind)
	find.put("spec", span)
	m.put("find_keys", find.value())
	return m.value()
}

// find says how to find the keys, starting at First.
func (k *KeySpec) find() (kind string, spec resp.Value) {
	var m fields
	switch {
	case k.Unknown:
		return "unknown", m.value()
	case k.KeyNum:
		m.put("keynumidx", integer(0))
		m.put("firstkey", integer(1))
		m.put("keystep", integer(k.Step))
		return "keynum", m.value()
	}
	m.put("lastkey", integer(k.Last))
	m.put("keystep", integer(k.Step))
	m.put("limit", integer(k.Limit))
	return "range", m.value()
}

// docs is the command's entry in COMMAND DOCS.
func (s *Spec) docs() resp.Value {
	var m fields
	m.optional("summary", s.Summary)
	m.optional("since", s.Since)
	m.optional("group", s.Group)
	m.optional("complexity", s.Complexity)
	if s.Deprecated != "" {
		m.put("doc_flags", words([]string{"deprecated"}))
	}
	m.optional("deprecated_since", s.Deprecated)
	m.optional("replaced_by", s.ReplacedBy)
	if len(s.History) > 0 {
		lines := make([]resp.Value, len(s.History))
		for i, r := range s.History {
			lines[i] = *resp.List(*resp.Text(r.Since), *resp.Text(r.What))
		}
		m.put("history", set(lines))
	}
	if len(s.Args) > 0 {
		m.put("arguments", argDocs(s.Args))
	}
	if len(s.Subcommands) > 0 {
		var subs fields
		for _, sub := range s.Subcommands {
			subs.put(sub.FullName, sub.docs())
		}
		m.put("subcommands", subs.value())
	}
	return m.value()
}

func argDocs(args []Arg) resp.Value {
	elems := make([]resp.Value, len(args))
	for i := range args {
		elems[i] = args[i].docs()
	}
	return *resp.List(elems...)
}

func (a *Arg) docs() resp.Value {
	var m fields
	m.text("name", a.Name)
	m.text("type", argTypeNames[a.Type])
	if a.Type == KeyArg || a.KeySpec > 0 {
		m.put("key_spec_index", integer(a.KeySpec))
	}
	m.optional("token", a.Token)
	m.optional("since", a.Since)
	m.optional("deprecated_since", a.Deprecated)
	if a.Flags != 0 {
		m.put("flags", words(bitNames(uint32(a.Flags), argFlagNames)))
	}
	if len(a.Args) > 0 {
		m.put("arguments", argDocs(a.Args))
	}
	return m.value()
}

// fields is a map reply under construction.
type fields []resp.Value

func (m *fields) put(name string, v resp.Value) { *m = append(*m, *resp.Text(name), v) }

func (m *fields) text(name, s string) { m.put(name, *resp.Text(s)) }

func (m *fields) optional(name, s string) {
	if s != "" {
		m.text(name, s)
	}
}

func (m fields) value() resp.Value { return resp.Value{Kind: resp.Map, Elems: m} }

func integer(n int) resp.Value { return *resp.Int(int64(n)) }

func set(elems []resp.Value) resp.Value { return resp.Value{Kind: resp.Set, Elems: elems} }

// words returns a set of status lines, texts one of strings.
func words(names []string) resp.Value {
	elems := make([]resp.Value, len(names))
	for i, n := range names {
		elems[i] = *resp.Status(n)
	}
	return set(elems)
}

func texts(names []string) resp.Value {
	elems := make([]resp.Value, len(names))
	for i, n := range names {
		elems[i] = *resp.Text(n)
	}
	return set(elems)
}
