package register

// Puts reports whether a change brings anything that takes room: any change but
// None, a delete, or a delta that only removes elements or touches the header.
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

// Grows reports whether a change brings as much as it takes away, or more. whole
// is how many bytes all elements of the state before take, and size returns the
// bytes of one of them, its key included; both zero for what is not known.
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

// Grows reports whether a change makes the state take as much room as before, or
// more, as far as the view can tell: what it does not know counts nothing.
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
