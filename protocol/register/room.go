package register

// Puts reports whether a change adds data that takes space. None, deletes and deltas
// that only remove elements or set the header do not.
func (c *Change) Puts() bool {
	switch {
	case c.Kind == Full:
		return c.Header.Exists()
	case c.Kind == None || !c.Header.Exists():
		return false
	}
	for i := range c.Ops {
		if c.Ops[i].Kind != Remove {
			return true
		}
	}
	return false
}

// Grows reports whether a change adds at least as many bytes as it removes. whole is
// the size in bytes of all elements of the state before, and size returns the size
// of one of them, including its key. Both are zero if unknown.
func (c *Change) Grows(whole int, size func(key []byte) int) bool {
	if !c.Puts() {
		return false
	}
	less := whole
	if c.Kind == Delta {
		less = 0
	}
	more := 0
	seen := make(map[string]struct{}, len(c.Ops))
	for i := range c.Ops {
		op := &c.Ops[i]
		before := 0
		if _, again := seen[string(op.Key)]; !again && c.Kind == Delta {
			before = size(op.Key)
			seen[string(op.Key)] = struct{}{}
		}
		less += before
		switch op.Kind {
		case Put:
			more += len(op.Key) + len(op.Value)
		case Patch:
			more += max(before, len(op.Key)+int(op.Offset)+len(op.Value))
		}
	}
	return more >= less
}

// Grows reports whether the state takes at least as much space after a change as
// before, as far as the view can tell: unknown elements count as zero.
func (v View) Grows(c Change) bool {
	whole := 0
	if v.Whole() {
		for i := range v.elems {
			whole += len(v.elems[i].Key) + len(v.elems[i].Value)
		}
	}
	return c.Grows(whole, func(key []byte) int {
		value, exists, _ := v.Lookup(key)
		if !exists {
			return 0
		}
		return len(key) + len(value)
	})
}
