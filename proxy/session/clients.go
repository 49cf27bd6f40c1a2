package session

import (
	"cmp"
	"slices"
	"sync"
)

// clients is the set of connected clients.
type clients struct {
	mu     sync.Mutex
	lastID int64
	byID   map[int64]*Session
}

func (c *clients) init(above int64) {
	c.lastID = above
	c.byID = map[int64]*Session{}
}

func (c *clients) nextID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return c.lastID
}

// add adds a client and returns true, unless there are limit already.
func (c *clients) add(s *Session, limit int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(c.byID)) >= limit {
		return false
	}
	c.byID[s.id] = s
	return true
}

func (c *clients) remove(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, s.id)
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byID)
}

// all returns the clients in the order in which they connected.
func (c *clients) all() []*Session {
	c.mu.Lock()
	list := make([]*Session, 0, len(c.byID))
	for _, s := range c.byID {
		list = append(list, s)
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
	return list
}

// get returns the client with the id, or nil.
func (c *clients) get(id int64) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id]
}
