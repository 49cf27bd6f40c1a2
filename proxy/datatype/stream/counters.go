package stream

// How many entries a group has read, and how many it has not, are counted as
// far as deletions allow: an entry that XDEL took from the middle is missed, so
// beyond it only positions that are known for certain tell.

// readBefore returns how many entries were ever added up to an ID, or unread if
// that cannot be told.
func (m *meta) readBefore(id ID) int64 {
	switch {
	case m.added == 0:
		return 0
	case m.length == 0 && !m.last.less(id):
		return int64(m.added)
	case id == m.last:
		return int64(m.added)
	case m.last.less(id):
		return unread
	}
	if m.maxDeleted.Zero() || m.maxDeleted.less(m.first) {
		switch id.Compare(m.first) {
		case -1:
			return int64(m.added - m.length)
		case 0:
			return int64(m.added - m.length + 1)
		}
	}
	return unread
}

// deletedFrom reports whether XDEL may have removed entries from an ID on.
func (m *meta) deletedFrom(id ID) bool {
	return m.length > 0 && !m.maxDeleted.Zero() && !m.maxDeleted.less(id) && !m.maxDeleted.less(m.first)
}

// lag returns how many entries a group has yet to read, if that can be told.
func (m *meta) lag(g *group) (int64, bool) {
	if m.added == 0 {
		return 0, true
	}
	read := g.read
	if read == unread || m.deletedFrom(g.last) {
		read = m.readBefore(g.last)
	}
	return int64(m.added) - read, read != unread
}

// deliver counts an entry that a group has not seen yet as read.
func (g *group) deliver(m *meta, id ID) {
	switch {
	case g.read != unread && !m.deletedFrom(id):
		g.read++
	case m.added > 0:
		g.read = m.readBefore(id)
	}
	g.last = id
}
