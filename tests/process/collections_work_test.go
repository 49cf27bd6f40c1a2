package process

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"synod/meta/placement"
	"synod/tests/harness"
)

// collection is a key that many clients write, with a record of their replies.
type collection struct {
	*kind
	key    string
	begins []item // initial content

	acked  atomic.Int64 // writes
	mu     sync.Mutex
	fates  map[string]*fate    // by element
	sums   map[string]*counter // elements that are incremented
	pops   int                 // removals of an unknown element, with unknown outcome
	faults []error             // impossible replies
}

// fate is what is known about an element.
type fate struct {
	added, removed outcome // notDone: nor tried
	note           string  // "" is unknown
}

// sumsPerKey is how many elements of a collection are incremented.
const sumsPerKey = 3

func newCollection(k *kind, key string, elements int) *collection {
	c := &collection{kind: k, key: key, fates: map[string]*fate{}, sums: map[string]*counter{}}
	for n := range elements {
		element := fmt.Sprintf("begin.%d", n)
		it := item{element, k.noteOf(n, element)}
		c.begins = append(c.begins, it)
		c.fates[element] = &fate{added: done, removed: notDone, note: it.note}
	}
	for n := range sumsPerKey {
		c.sums[fmt.Sprintf("sum:%d", n)] = newCounter()
	}
	return c
}

// of returns the fate of an element. mu is held.
func (c *collection) of(element string) *fate {
	f := c.fates[element]
	if f == nil {
		f = &fate{added: notDone, removed: notDone}
		c.fates[element] = f
	}
	return f
}

// note records how a write ended.
func (c *collection) note(o outcome, record func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	record()
	if o == done {
		c.acked.Add(1)
	}
}

// writers are clients that write collections until they are stopped.
type writers struct {
	*workload
	all []*collection
}

// smallSize is the initial size of small collections, which nodes store in one
// row.
const smallSize = 20

// write fills a small and a large collection of each kind and starts clients
// that write them, distributed over the addresses. If apart is set, each
// address has its own collections. Reads of all of them prefer the same node,
// the first one, while it is up.
func write(t testing.TB, apart bool, clients, large int, addrs ...string) *writers {
	t.Helper()
	w := &writers{workload: newWorkload(t)}
	for _, k := range kinds {
		w.all = append(w.all, newCollection(k, keyAt("large:"+k.name, 0), large))
	}
	for i := range kinds { // in the other order: those of one address are of all kinds
		k := kinds[len(kinds)-1-i]
		w.all = append(w.all, newCollection(k, keyAt("small:"+k.name, 0), smallSize))
	}
	var filling sync.WaitGroup
	for i, c := range w.all {
		filling.Go(func() {
			requests := c.fill(c.key, c.begins)
			sendAll(t, addrs[i%len(addrs)], requests, strings.Count(string(requests), "\r\n"+c.key+"\r\n"))
		})
	}
	filling.Wait()
	for id := range clients {
		at, theirs := id%len(addrs), w.all
		if apart {
			theirs = nil
			for i := at; i < len(w.all); i += len(addrs) {
				theirs = append(theirs, w.all[i])
			}
		}
		w.clients.Go(func() { w.client(id, clients, addrs[at], theirs) })
	}
	return w
}

// keyAt returns a key with a prefix whose state a proxy reads first from the
// node with that number, according to router.Prefer.
func keyAt(name string, node int) string {
	for n := 0; ; n++ {
		if key := fmt.Sprintf("%s:%d", name, n); int(placement.Slot([]byte(key)))%3 == node {
			return key
		}
	}
}

// sendAll sends requests and waits for their replies, none of which may be an
// error.
func sendAll(t testing.TB, addr string, requests []byte, replies int) {
	conn, err := harness.TryDial(addr)
	if err == nil {
		defer func() { _ = conn.Close() }()
		err = conn.Send(requests)
	}
	for n := 0; n < replies && err == nil; n++ {
		var reply []byte
		if reply, err = conn.Reply(); err == nil && reply[0] == '-' {
			err = fmt.Errorf("%q", reply)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// client writes, one command at a time. It removes only elements that it knows
// to exist and that no other client removes.
func (w *writers) client(id, clients int, addr string, all []*collection) {
	conn := open(addr)
	defer func() { _ = conn.Close() }()
	random := rand.New(rand.NewPCG(uint64(id), 2))
	own := make([][]item, len(all))
	for i, c := range all {
		for n := id; n < len(c.begins); n += clients {
			own[i] = append(own[i], c.begins[n])
		}
	}
	for n := 0; w.stop.Err() == nil; n++ {
		i := random.IntN(len(all))
		c := all[i]
		var o outcome
		var err error
		switch chance := random.IntN(20); {
		case chance < 4 && c.incr != nil:
			o, err = c.increment(conn, fmt.Sprintf("sum:%d", random.IntN(sumsPerKey)))
		case chance < 11 && len(own[i]) > 0:
			o, err = c.takeOut(conn, own[i][0])
			own[i] = own[i][1:]
		default:
			it := item{element: fmt.Sprintf("%d.%d", id, n)}
			if it.note, o, err = c.put(conn, it.element); o == done {
				own[i] = append(own[i], it)
			}
		}
		w.count(o, err)
		if o != done {
			w.pause()
		}
	}
}

func (c *collection) put(conn *redis.Client, element string) (string, outcome, error) {
	note, err := c.add(conn, c.key, element)
	o, err := classify(err)
	c.note(o, func() {
		f := c.of(element)
		f.added, f.note = o, note
	})
	return note, o, err
}

func (c *collection) takeOut(conn *redis.Client, it item) (outcome, error) {
	element, err := c.remove(conn, c.key, it)
	o, err := classify(err)
	c.note(o, func() { c.removal(element, o) })
	return o, err
}

// removal records that an element was removed; "" means an unknown element of a
// list. mu is held.
func (c *collection) removal(element string, o outcome) {
	switch {
	case o == notDone:
	case element != "" && c.of(element).removed == done:
		c.faults = append(c.faults, fmt.Errorf("%s: %q was removed twice", c.key, element))
	case element != "":
		c.of(element).removed = o
	case o == unknown:
		c.pops++
	}
}

func (c *collection) increment(conn *redis.Client, field string) (outcome, error) {
	n, err := c.incr(conn, c.key, field)
	o, err := classify(err)
	c.note(o, func() { c.sums[field].note(o, n) })
	return o, err
}

// each waits for n more acknowledged writes in every collection.
func (w *writers) each(n int64) {
	w.t.Helper()
	goals := make([]int64, len(w.all))
	for i, c := range w.all {
		goals[i] = c.acked.Load() + n
	}
	for i, c := range w.all {
		harness.Await(w.t, fmt.Sprintf("%d writes of %s", n, c.key), func() bool { return c.acked.Load() >= goals[i] })
	}
}
