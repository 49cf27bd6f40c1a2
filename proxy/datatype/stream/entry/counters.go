package entry

// The number of entries that a group has read is tracked as far as deletions
// allow. After XDEL has removed an entry from the middle, only the positions at
// the stream's ends are known.

// ReadBefore returns how many entries up to an ID were ever added, or Unread if
// unknown.
func (m *Meta) ReadBefore(id ID) int64 {
	switch {
	case m.Added == 0:
		return 0
	case m.Length == 0 && !m.Last.Less(id):
		return int64(m.Added)
	case id == m.Last:
		return int64(m.Added)
	case m.Last.Less(id):
		return Unread
	}
	if m.MaxDeleted.Zero() || m.MaxDeleted.Less(m.First) {
		switch id.Compare(m.First) {
		case -1:
			return int64(m.Added - m.Length)
		case 0:
			return int64(m.Added - m.Length + 1)
		}
	}
	return Unread
}

// DeletedFrom reports whether XDEL may have removed entries at or after an ID.
func (m *Meta) DeletedFrom(id ID) bool {
	return m.Length > 0 && !m.MaxDeleted.Zero() && !m.MaxDeleted.Less(id) && !m.MaxDeleted.Less(m.First)
}
