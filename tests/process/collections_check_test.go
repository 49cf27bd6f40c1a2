package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// check compares a collection's elements and reported size with the clients'
// records.
func (c *collection) check(items []item, size int64) (problems []error) {
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(c.key+": "+format, args...))
	}
	problems = append(problems, c.faults...)
	if int64(len(items)) != size {
		problem("%d elements, but its size is %d", len(items), size)
	}
	sums := map[string]string{}
	times := map[string]int{}
	for i, it := range items {
		if c.less != nil && i > 0 && !c.less(items[i-1], it) {
			problem("%v stands before %v", items[i-1], it)
		}
		if times[it.element]++; times[it.element] > 1 {
			problem("%v is there %d times", it, times[it.element])
		}
		if counted(it.element) {
			sums[it.element] = it.note
			continue
		}
		switch f := c.fates[it.element]; {
		case f == nil || f.added == notDone:
			problem("nobody added %v", it)
		case f.removed == done:
			problem("%v was removed and is there", it)
		case f.note != "" && f.note != it.note:
			problem("%v was added with %q", it, f.note)
		}
	}
	for field, sum := range c.sums {
		problems = append(problems, sum.check(c.key+" "+field, sums[field])...)
	}
	return append(problems, c.missing(times)...)
}

// missing returns the acknowledged elements that are absent.
func (c *collection) missing(times map[string]int) (problems []error) {
	for element, f := range c.fates {
		switch {
		case f.added == notDone && f.removed == done:
			problems = append(problems, fmt.Errorf("%s: %q was removed, which nobody added", c.key, element))
		case f.added == done && f.removed == notDone && times[element] == 0:
			problems = append(problems, fmt.Errorf("%s: %q is missing", c.key, element))
		}
	}
	if len(problems) <= c.pops { // then these may have been removed
		return nil
	}
	return problems
}

// queue returns the elements of a list that are in a different order than their
// client pushed them. Elements are "client.number".
func queue(c *collection, items []item) (problems []error) {
	last := map[string]int{}
	for _, it := range items {
		var n int
		client, number, _ := strings.Cut(it.element, ".")
		_, _ = fmt.Sscan(number, &n)
		if c.fates[it.element].added != done {
			continue // it may have taken effect later than its client thinks
		}
		if at, behind := last[client]; behind && n <= at {
			problems = append(problems, fmt.Errorf("%s: %s stands behind %s.%d", c.key, it.element, client, at))
		}
		last[client] = n
	}
	return problems
}

// looks is how many elements of a collection are looked for where a full read
// says they are.
const looks = 40

// find returns elements for which LINDEX, ZRANK, ZCOUNT and similar commands
// disagree with a full read.
func (c *collection) find(conn *redis.Client, items []item, random *rand.Rand) (problems []error) {
	if len(items) == 0 {
		return nil
	}
	p := conn.Pipeline()
	var answers []answer
	for _, at := range append(random.Perm(len(items))[:min(looks, len(items))], 0, len(items)-1) {
		answers = append(answers, c.look(p, c.key, items, at)...)
	}
	if _, err := p.Exec(context.Background()); err != nil {
		return []error{fmt.Errorf("%s: %w", c.key, err)}
	}
	for _, a := range answers {
		if !strings.HasPrefix(a.got(), a.want) {
			problems = append(problems, fmt.Errorf("%v; want %s", a.reply, a.want))
		}
	}
	return problems
}

// check reads all collections and returns the faults. The clients must have
// stopped.
func (w *writers) check(addr string) {
	w.t.Helper()
	conn := open(addr)
	defer func() { _ = conn.Close() }()
	random := rand.New(rand.NewPCG(uint64(w.answers.Load()), 3))
	for _, c := range w.all {
		var items []item
		var size int64
		harness.Await(w.t, "the elements of "+c.key, func() bool {
			var err error
			if items, err = c.read(conn, c.key); err == nil {
				size, err = c.size(conn, c.key)
			}
			o, err := classify(err)
			return err == nil && o == done
		})
		problems := c.check(items, size)
		if problems == nil && c.kind == &lists {
			problems = queue(c, items)
		}
		problems = append(problems, c.find(conn, items, random)...)
		for _, err := range problems[:min(10, len(problems))] {
			w.t.Error(err)
		}
		if more := len(problems) - 10; more > 0 {
			w.t.Errorf("%s: %d more", c.key, more)
		}
		w.t.Logf("%s: %d elements, %d writes", c.key, len(items), c.acked.Load())
	}
}

// checkAll checks that any two nodes together have all data.
func (w *writers) checkAll(c *harness.Cluster) {
	w.t.Helper()
	for i, n := range c.Nodes {
		n.Freeze()
		w.check(c.Addrs()[i%len(c.Proxies)])
		n.Thaw()
	}
}

// The clients and the checker find no fault in a correct server.
func TestCollectionsOnRedis(t *testing.T) {
	addr := harness.Redis(t)
	w := write(t, false, 4, 2000, addr)
	w.each(50)
	w.finish()
	w.check(addr)
}

// The checker finds the faults that it is meant to find.
func TestCollectionChecker(t *testing.T) {
	fates := map[string]*fate{
		"a": {added: done, removed: notDone, note: "1"}, "b": {added: unknown, removed: notDone},
		"c": {added: done, removed: done, note: "3"}, "d": {added: notDone, removed: notDone},
		"e": {added: done, removed: unknown, note: "5"},
	}
	c := &collection{kind: &sortedSets, key: "z", fates: fates, sums: map[string]*counter{"sum:0": {acked: 7, unknown: 1}}}
	a, b, e, sum := item{"a", "1"}, item{"b", "2"}, item{"e", "5"}, item{"sum:0", "7"}
	for _, fine := range [][]item{{a, sum}, {a, b, sum}, {a, e, sum}, {a, b, e, {"sum:0", "8"}}} {
		if p := c.check(fine, int64(len(fine))); p != nil {
			t.Error(fine, p)
		}
	}
	for what, items := range map[string][]item{
		"a missing element":         {b, sum},
		"an element twice":          {a, a, sum},
		"a removed element":         {a, {"c", "3"}, sum},
		"an element of nobody":      {a, {"x", "3"}, sum},
		"an element that was not":   {a, {"d", "3"}, sum},
		"another score":             {{"a", "2"}, sum},
		"another order":             {b, a, sum},
		"a lost increment":          {a, {"sum:0", "6"}},
		"an increment too many":     {a, {"sum:0", "9"}},
		"increments that are there": {a},
	} {
		mustFind(t, what, c.check(items, int64(len(items))))
	}
	mustFind(t, "a wrong size", c.check([]item{a, sum}, 3))
	c.removal("c", done)
	mustFind(t, "a second removal", c.check([]item{a, sum}, 2))

	list := &collection{kind: &lists, key: "l", pops: 1, fates: map[string]*fate{
		"1.1": {added: done, removed: notDone}, "1.2": {added: done, removed: notDone}, "1.3": {added: unknown, removed: notDone},
	}}
	first, second, third := item{element: "1.1"}, item{element: "1.2"}, item{element: "1.3"}
	for _, fine := range [][]item{{first, second}, {second}, {first, third, second}} {
		if p := slices.Concat(list.check(fine, int64(len(fine))), queue(list, fine)); p != nil {
			t.Error(fine, p)
		}
	}
	mustFind(t, "more missing than removed", list.check(nil, 0))
	mustFind(t, "another order", queue(list, []item{second, first}))
}
