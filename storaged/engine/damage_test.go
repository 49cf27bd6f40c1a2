package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/layout"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/pages"
	"synod/storaged/rules"
)

// image is a data directory: the bytes of each file, by its path below.
type image map[string][]byte

// takeImage reads a directory of which Pebble's part is on a file system of its
// own.
func takeImage(t testing.TB, dir string, fs vfs.FS) image {
	t.Helper()
	m := image{}
	for _, name := range []string{datadir.IdentityFile, changelog.PositionFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			m[name] = b
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for _, s := range logFiles(t, dir) {
		b, err := os.ReadFile(s.Path)
		must(t, err)
		m[filepath.Join(datadir.LogDir, filepath.Base(s.Path))] = b
	}
	names, err := fs.List(filepath.Join(dir, datadir.PebbleDir))
	must(t, err)
	for _, name := range names {
		f, err := fs.Open(filepath.Join(dir, datadir.PebbleDir, name))
		must(t, err)
		b, err := io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
		m[filepath.Join(datadir.PebbleDir, name)] = b
	}
	return m
}

// put makes a directory of an image, and returns Pebble's file system.
func (m image) put(t testing.TB, dir string) vfs.FS {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, datadir.LogDir), 0o755))
	fs := vfs.NewMem()
	must(t, fs.MkdirAll(filepath.Join(dir, datadir.PebbleDir), 0o755))
	for name, b := range m {
		path := filepath.Join(dir, name)
		if filepath.Dir(name) != datadir.PebbleDir {
			must(t, os.WriteFile(path, b, 0o644))
			continue
		}
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = f.Write(bytes.Clone(b)) // under -race, MemFS may spoil what it is given
		must(t, errors.Join(err, f.Close()))
	}
	return fs
}

func (m image) clone() image {
	out := image{}
	for name, b := range m {
		out[name] = bytes.Clone(b)
	}
	return out
}

func (m image) names() []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// past is a store's life: what it acknowledged, and the directory it left.
type past struct {
	opts   Options
	clock  instant.Now
	whole  map[register.ID]register.View
	state  durable.NodeState
	epochs []durable.EpochTaken
	image  image
	older  image // the directory some time before
}

// live has a store live, and end in some way. Nothing is left that was not
// acknowledged.
func live(t *testing.T, seed uint64, steps int) *past {
	rnd := rand.New(rand.NewPCG(seed, 8))
	o := testOptions(t)
	o.FS, o.CacheBytes, o.SegmentBytes = vfs.NewCrashableMem(), 3<<(10+rnd.IntN(12)), 48<<10
	if rnd.IntN(2) == 0 {
		o.RetainBytes = 1 << 30
	}
	n := &neighbours{rig: newRig(t, o), rnd: rnd}
	n.pending.rig = n.rig
	for i := range 8 {
		n.all = append(n.all, &collection{
			rig: n.rig, rnd: rnd, id: key(byte(1+i%2), fmt.Sprint("k", i/2)), kind: register.List,
			whole: register.Nothing(), head: 1 << 40, next: 1 << 40,
		})
	}
	p := &past{whole: map[register.ID]register.View{}}
	for step := range steps {
		n.eventful(step)
		if step == steps/2 {
			n.sync()
			p.older = takeImage(t, o.Dir, n.frozen(100))
		}
	}
	p.end(t, n)
	return p
}

// eventful is one step of a life.
func (n *neighbours) eventful(step int) {
	n.t.Helper()
	n.change(step)
	n.stage()
	switch n.rnd.IntN(24) {
	case 0:
		n.flush()
	case 1:
		s := n.e.NodeState()
		s.Ceiling += 1000
		_, err := n.e.AppendNode(s)
		must(n.t, err)
	case 2:
		_, err := n.e.AppendEpoch(durable.EpochTaken{First: uint16(n.rnd.IntN(64)), Last: 64 + uint16(n.rnd.IntN(64)), Epoch: testEpoch})
		must(n.t, err)
	case 3:
		n.settle()
		must(n.t, n.e.checkpoint(n.e.changes.Appended()))
	case 4, 5, 6:
		n.sync()
	}
	before := n.e
	if n.all[0].upset(); before != n.e {
		n.pending.open = nil
	}
}

// frozen returns Pebble's files as a crash would leave them.
func (n *neighbours) frozen(unsynced int) vfs.FS {
	return n.opts.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: n.rnd})
}

func (p *past) end(t *testing.T, n *neighbours) {
	t.Helper()
	n.sync()
	for _, c := range n.all {
		n.read(c.id, register.Projection{}) // notices that it is covered
		p.whole[c.id] = c.whole
	}
	n.sync()
	p.state, p.epochs = n.e.NodeState(), n.e.Epochs()
	switch n.rnd.IntN(3) {
	case 0:
		must(t, n.e.Close())
	case 1:
		must(t, n.e.db.Flush())
	}
	p.image = takeImage(t, n.opts.Dir, n.frozen(n.rnd.IntN(101)))
	must(t, n.e.Abort())
	p.opts, p.clock = n.opts, n.clock
}

// outcome is how a directory was met.
type outcome int

const (
	right outcome = iota
	refused
	wrong
)

// judge opens a directory and reads all there is. It wants the values that were
// acknowledged, or an error.
func (p *past) judge(t *testing.T, m image, omit rules.Set) (out outcome, why error) {
	t.Helper()
	o := p.opts
	o.Dir, o.omit = t.TempDir(), omit
	defer os.RemoveAll(o.Dir)
	o.FS = m.put(t, o.Dir)
	for life := range 2 {
		clock := p.clock
		clock.Mono = 1
		r := &rig{t: t, opts: o, clock: clock}
		if err := r.open(); err != nil {
			if r.e != nil {
				_ = r.e.Abort()
			}
			if life > 0 {
				return refused, err
			}
			return p.again(t, o, err, r.fatal.Load() != nil) // complete, as the store is closed
		}
		err := p.compare(r)
		if fatal := r.fatal.Load(); err == nil && fatal != nil {
			err = *fatal
		}
		if cerr := r.e.Close(); err == nil {
			err = cerr
		}
		var w *wrongValue
		switch {
		case errors.As(err, &w):
			return wrong, err
		case err != nil:
			return refused, err
		}
	}
	return right, nil
}

// again opens a directory that was refused. It must be refused again if opening
// itself found the damage: nothing was taken away meanwhile. If background work met
// it, mostly a compaction, the next start may well open before it is met again: then
// nothing it shows may be wrong.
func (p *past) again(t *testing.T, o Options, first error, background bool) (outcome, error) {
	t.Helper()
	clock := p.clock
	clock.Mono = 1
	r := &rig{t: t, opts: o, clock: clock}
	err := r.open()
	if r.e != nil {
		defer r.e.Abort()
	}
	if err != nil {
		return refused, first
	}
	if !background {
		return wrong, fmt.Errorf("refused once and then opened: %w", first)
	}
	var w *wrongValue
	if err := p.compare(r); errors.As(err, &w) {
		return wrong, fmt.Errorf("%w, after: %w", err, first)
	}
	return refused, first
}

// wrongValue says that a store shows what it should not.
type wrongValue struct{ what string }

func (w *wrongValue) Error() string { return w.what }

func wrongf(format string, args ...any) error { return &wrongValue{fmt.Sprintf(format, args...)} }

// compare reads everything and compares it with what was acknowledged.
func (p *past) compare(r *rig) error {
	if got := r.e.NodeState(); got != p.state {
		return wrongf("node state %+v, want %+v", got, p.state)
	}
	if got := r.e.Epochs(); !slices.Equal(got, p.epochs) {
		return wrongf("epochs %v, want %v", got, p.epochs)
	}
	for id, want := range p.whole {
		if err := p.compareOne(r, id, want); err != nil {
			return err
		}
	}
	return p.compareLists(r)
}

func (p *past) compareOne(r *rig, id register.ID, want register.View) error {
	q := &message.Request{Kind: message.KindRead, Register: id, Epoch: testEpoch, WantState: true}
	var reply message.Reply
	if _, err := r.accs[r.lane(id)].Step(r.clock, q, &reply); err != nil {
		return err
	}
	l := r.e.Lanes()[r.lane(id)]
	rec, err := l.Load(id)
	if err != nil {
		return err
	}
	if rec == nil || !rec.Header.Exists() {
		if want.Header.Exists() {
			return wrongf("%q is not there", id.Key)
		}
		return nil
	}
	span, counted := layout.Counted(rec.Header.Type)
	all := register.Projection{All: true}
	v, fits, err := l.Project(rec, all, 1<<30)
	if err != nil || !fits {
		return errors.Join(err, errors.New("read in full"))
	}
	if h := v.Header; h.Type != want.Header.Type || h.Size != want.Header.Size || h.Expiry != want.Header.Expiry || !bytes.Equal(h.Aux, want.Header.Aux) {
		return wrongf("%q: header %+v, want %+v", id.Key, h, want.Header)
	}
	if !slices.EqualFunc(v.Elements(), want.Elements(), func(a, b register.Element) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
	}) {
		return wrongf("%q: %d elements, want %d, or others", id.Key, len(v.Elements()), len(want.Elements()))
	}
	if !counted {
		return nil
	}
	v, _, err = l.Project(rec, register.Projection{Counts: []register.Span{span}}, 1<<20)
	if err != nil {
		return err
	}
	got, _ := v.Count(span)
	if n, _ := want.Count(span); got != n {
		return wrongf("%q: %d elements are counted, want %d", id.Key, got, n)
	}
	return nil
}

// compareLists compares what is listed and counted, of all and of what expires.
func (p *past) compareLists(r *rig) error {
	if err := r.tryDriven(r.e.CatchUp); err != nil { // what expires is as Pebble has it
		return err
	}
	for db := byte(1); db <= 2; db++ {
		want := map[string]bool{}
		for id, v := range p.whole {
			if id.Key[0] == db && v.Header.Exists() {
				want[id.Key] = true
			}
		}
		if err := r.compareTally(db, len(want)); err != nil {
			return err
		}
		listed, err := r.everyPage(listing.Request{Space: db}, r.e.List)
		if err != nil {
			return err
		}
		if !maps.Equal(listed, want) {
			return wrongf("%v are listed, want %v", listed, want)
		}
	}
	listed, err := r.everyPage(listing.Request{Expired: true}, func(q *listing.Request) (listing.Reply, error) {
		return r.e.Expired(1<<40, q)
	})
	for id, v := range p.whole {
		if err == nil && v.Header.Exists() && layout.Due(v.Header) != 0 && !listed[id.Key] {
			return wrongf("%q does not expire", id.Key)
		}
	}
	return err
}

func (r *rig) compareTally(db byte, want int) error {
	var reply listing.TallyReply
	q := &listing.TallyRequest{Epoch: testEpoch, Databases: partition.AllDatabases, Spans: []partition.SlotSpan{{Last: partition.Slots - 1}}}
	err := r.tryDriven(func() (err error) { reply, err = r.e.Tally(q); return err })
	if err != nil || reply.Outcome == message.Busy {
		return err // not counted yet
	}
	var got uint64
	for _, t := range reply.Tallies {
		if t.Database == db {
			got = t.Keys
		}
	}
	if got != uint64(want) {
		return wrongf("database %d: %d registers are counted, want %d", db, got, want)
	}
	return nil
}

// everyPage returns the keys on all pages of a list.
func (r *rig) everyPage(q listing.Request, list func(*listing.Request) (listing.Reply, error)) (map[string]bool, error) {
	q.Last, q.Limit = partition.Slots-1, pages.PageLimit
	keys := map[string]bool{}
	for {
		var page listing.Reply
		if err := r.tryDriven(func() (err error) { page, err = list(&q); return err }); err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			keys[e.Register.Key] = true
		}
		if page.Done {
			return keys, nil
		}
		q.First, q.From = page.NextSlot, page.NextHash
	}
}

// tryDriven is driven, for what may fail.
func (r *rig) tryDriven(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	for {
		select {
		case err := <-done:
			return err
		default:
			r.maintain()
			runtime.Gosched() // many do this in parallel
		}
	}
}
