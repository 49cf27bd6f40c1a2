package str

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/expiry"
)

// set stores a string, replacing any old value.
type set struct {
	ops    []register.Op
	size   uint64
	expiry expiry.Time
	// onlyNew and onlyOld reject the command if the register holds a value, or
	// if it does not.
	onlyNew, onlyOld bool
	keepTTL          bool
	get              bool // reply with the old value, which must be a string
	done, refused    *resp.Value
	only             [1]register.Op // holds ops of a small string
}

func newSet(value []byte) *set {
	s := &set{size: uint64(len(value)), done: resp.OK, refused: resp.Nil}
	switch {
	case len(value) == 0:
	case len(value) <= ChunkSize:
		s.only[0] = register.Op{Kind: register.Put, Key: firstChunk, Value: value}
		s.ops = s.only[:]
	default:
		s.ops = whole(value)
	}
	return s
}

// Set parses SET key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL].
func Set(args [][]byte) (operation.Operation, *resp.Value) {
	s := newSet(args[2])
	if len(args) == 3 {
		return s, nil
	}
	o, err := parseOptions(args[3:], true)
	if err != nil {
		return nil, err
	}
	s.onlyNew, s.onlyOld, s.keepTTL, s.get = o.onlyNew, o.onlyOld, o.keepTTL, o.get
	if s.expiry, err = o.time("set"); err != nil {
		return nil, err
	}
	return s, nil
}

// SetNX parses SETNX key value.
func SetNX(args [][]byte) (operation.Operation, *resp.Value) {
	s := newSet(args[2])
	s.onlyNew, s.done, s.refused = true, resp.Int(1), resp.Int(0)
	return s, nil
}

// SetEx parses SETEX key seconds value.
func SetEx(args [][]byte) (operation.Operation, *resp.Value) {
	return setFor(args, expiry.Seconds, "setex")
}

// PSetEx parses PSETEX key milliseconds value.
func PSetEx(args [][]byte) (operation.Operation, *resp.Value) {
	return setFor(args, expiry.Milliseconds, "psetex")
}

func setFor(args [][]byte, unit expiry.Unit, command string) (operation.Operation, *resp.Value) {
	t, err := expiry.ParsePositive(args[2], unit, expiry.Relative, command)
	if err != nil {
		return nil, err
	}
	s := newSet(args[3])
	s.expiry = t
	return s, nil
}

// GetSet parses GETSET key value.
func GetSet(args [][]byte) (operation.Operation, *resp.Value) {
	s := newSet(args[2])
	s.get = true
	return s, nil
}

func (s *set) ReadOnly() bool { return false }

func (s *set) Blind() bool {
	return !s.onlyNew && !s.onlyOld && !s.keepTTL && !s.get && !s.expiry.MayOverflow()
}

func (s *set) Needs() register.Projection { return register.Projection{All: s.get} }

func (s *set) Execute(v register.View, now int64) operation.Effect {
	at, err := s.expiry.At(now)
	if err != nil {
		return datatype.Reply(err)
	}
	done, refused := s.done, s.refused
	if s.get {
		if err := check(v.Header); err != nil {
			return datatype.Reply(err)
		}
		done = resp.Nil
		if v.Header.Exists() {
			done = reply(v)
		}
		refused = done
	}
	if exists := v.Header.Exists(); (exists && s.onlyNew) || (!exists && s.onlyOld) {
		return datatype.Reply(refused)
	}
	if s.keepTTL {
		at = v.Header.Expiry
	}
	if at != 0 && at <= now {
		return datatype.Deletes(done)
	}
	h := register.Header{Type: register.String, Size: s.size, Expiry: at}
	return datatype.Becomes(h, s.ops, done)
}

// options are what may follow SET's and GETEX's fixed arguments.
type options struct {
	onlyNew, onlyOld, get bool
	keepTTL, persist      bool
	timed                 bool // an expiry was given
	value                 []byte
	unit                  expiry.Unit
	base                  expiry.Base
}

// parseOptions parses the options of SET or GETEX.
func parseOptions(args [][]byte, isSet bool) (o options, err *resp.Value) {
	var has string // which of EX, PX, EXAT, PXAT, KEEPTTL and PERSIST was given
	times := func(name string, unit expiry.Unit, base expiry.Base, next [][]byte) bool {
		if (has != "" && has != name) || len(next) == 0 {
			return false
		}
		has, o.timed, o.value, o.unit, o.base = name, true, next[0], unit, base
		return true
	}
	flag := func(name string, allowed bool, to *bool) bool {
		if !allowed || (has != "" && has != name) {
			return false
		}
		has, *to = name, true
		return true
	}
	for i := 0; i < len(args); i++ {
		a, next, ok := args[i], args[i+1:], false
		switch {
		case isSet && datatype.Is(a, "NX"):
			o.onlyNew, ok = true, !o.onlyOld
		case isSet && datatype.Is(a, "XX"):
			o.onlyOld, ok = true, !o.onlyNew
		case isSet && datatype.Is(a, "GET"):
			o.get, ok = true, true
		case datatype.Is(a, "KEEPTTL"):
			ok = flag("KEEPTTL", isSet, &o.keepTTL)
		case datatype.Is(a, "PERSIST"):
			ok = flag("PERSIST", !isSet, &o.persist)
		case datatype.Is(a, "EX"):
			ok = times("EX", expiry.Seconds, expiry.Relative, next)
			i++
		case datatype.Is(a, "PX"):
			ok = times("PX", expiry.Milliseconds, expiry.Relative, next)
			i++
		case datatype.Is(a, "EXAT"):
			ok = times("EXAT", expiry.Seconds, expiry.Absolute, next)
			i++
		case datatype.Is(a, "PXAT"):
			ok = times("PXAT", expiry.Milliseconds, expiry.Absolute, next)
			i++
		}
		if !ok {
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

// time returns the expiry in the options.
func (o *options) time(command string) (expiry.Time, *resp.Value) {
	if !o.timed {
		return expiry.Time{}, nil
	}
	return expiry.ParsePositive(o.value, o.unit, o.base, command)
}

// getEx reads the string and sets or removes its expiry.
type getEx struct {
	persist bool
	expiry  expiry.Time
	// late is the error in the expiry, reported only if the string exists.
	late *resp.Value
}

// GetEx parses GETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST].
func GetEx(args [][]byte) (operation.Operation, *resp.Value) {
	if len(args) == 2 {
		return plainGet, nil
	}
	o, err := parseOptions(args[2:], false)
	if err != nil {
		return nil, err
	}
	g := &getEx{persist: o.persist}
	g.expiry, g.late = o.time("getex")
	return g, nil
}

func (g *getEx) ReadOnly() bool             { return g.late != nil }
func (g *getEx) Blind() bool                { return false }
func (g *getEx) Needs() register.Projection { return all }

func (g *getEx) Execute(v register.View, now int64) operation.Effect {
	e := plainGet.Execute(v, now)
	if v.Header.Type != register.String {
		return e
	}
	if g.late != nil {
		return datatype.Reply(g.late)
	}
	at, err := g.expiry.At(now)
	if err != nil {
		return datatype.Reply(err)
	}
	value := e.Result.(*resp.Value)
	if at != 0 && at <= now {
		return datatype.Deletes(value)
	}
	h := v.Header
	if h.Expiry = at; at == v.Header.Expiry {
		return e
	}
	return datatype.Changes(v.Header, h, nil, value)
}

type getDel struct{ datatype.Writes }

// GetDel parses GETDEL key.
func GetDel([][]byte) (operation.Operation, *resp.Value) { return getDel{}, nil }

func (getDel) Needs() register.Projection { return all }

func (getDel) Execute(v register.View, now int64) operation.Effect {
	e := plainGet.Execute(v, now)
	if v.Header.Type == register.String {
		e.Change = register.Delete()
	}
	return e
}
