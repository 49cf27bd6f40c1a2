package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
)

// old makes a directory of an image as the format before has it: without a
// position file, and without a checksum in the identity.
func (m image) old(t *testing.T) image {
	t.Helper()
	var id datadir.Identity
	must(t, json.Unmarshal(m[datadir.IdentityFile], &id))
	id.Format, id.Position, id.Checksum = datadir.IdentityPlain, false, ""
	raw, err := json.MarshalIndent(id, "", "  ")
	must(t, err)
	m[datadir.IdentityFile] = raw
	delete(m, changelog.PositionFile)
	return m
}

// ended is the past of a rig that set some registers.
func ended(r *rig, values map[string]string) *past {
	r.t.Helper()
	p := &past{opts: r.opts, clock: r.clock, whole: views(values), state: r.e.NodeState(), epochs: r.e.Epochs()}
	p.image = takeImage(r.t, r.opts.Dir, r.opts.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	must(r.t, r.e.Abort())
	return p
}

func views(values map[string]string) map[register.ID]register.View {
	out := map[register.ID]register.View{}
	for k, v := range values {
		out[key(k[0], k[1:])] = register.Nothing().Apply(set(v))
	}
	return out
}

// TestOldDirectory: a directory of the format before opens, has a position file
// and a checksum from then on, and cannot do without them any more.
func TestOldDirectory(t *testing.T) {
	p := live(t, 5, 30)
	p.image.old(t)
	if out, err := p.judge(t, p.image.clone(), 0); out != right {
		t.Fatalf("%d, %v", out, err)
	}
	o := p.opts
	o.Dir = t.TempDir()
	o.FS = p.image.put(t, o.Dir)
	r := newRig(t, o)
	must(t, r.e.Abort())
	m := takeImage(t, o.Dir, o.FS)
	if out, err := p.judge(t, m.clone(), 0); out != right {
		t.Fatalf("the second time: %d, %v", out, err)
	}
	delete(m, changelog.PositionFile)
	if out, _ := p.judge(t, m, 0); out != refused {
		t.Errorf("without its position file: %d", out)
	}
}

// TestCrashIsNoDamage: of what was being synced when the machine died, any
// sectors may have reached the disk. The store opens, with all it acknowledged.
func TestCrashIsNoDamage(t *testing.T) {
	const acknowledged = 10
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		o := testOptions(t)
		o.FS = vfs.NewCrashableMem()
		// The flusher stands still once it has said that all of them are durable, so
		// that what follows is synced at once: after two syncs, the lack of what the
		// first one wrote would be damage.
		appended := make(chan struct{})
		release := sync.OnceFunc(func() { close(appended) })
		o.Synced = func(s changelog.Synced) {
			if s.Position == acknowledged {
				<-appended
			}
		}
		r := newRig(t, o)
		t.Cleanup(release) // if the test ends early
		values := map[string]string{}
		for i := range acknowledged {
			k := key(1, fmt.Sprint("k", i))
			values[k.Key] = "acknowledged"
			r.accept(k, set(values[k.Key]))
			if rnd.IntN(2) == 0 {
				r.sync()
			}
		}
		r.sync()
		before := takeImage(t, o.Dir, o.FS)
		from := int(r.e.changes.End())
		for i := range 1 + rnd.IntN(20) {
			r.accept(key(2, fmt.Sprint("u", i)), set(string(bytes.Repeat([]byte("u"), rnd.IntN(3000)))))
			r.e.Kick() // as a late wake-up of an earlier sync does
		}
		release()
		r.sync()
		to := int(r.e.changes.End())
		p := ended(r, values)
		name := p.image.logs()[0]
		after := p.image[name]
		for range 20 {
			m := before.clone()
			for at := from; at < to; at = (at/512 + 1) * 512 {
				if rnd.IntN(3) > 0 {
					copy(m[name][at:min(to, (at/512+1)*512)], after[at:])
				}
			}
			p.opens(t, m)
		}
	}
}

// opens wants a directory to open, with all that was acknowledged.
func (p *past) opens(t *testing.T, m image) {
	t.Helper()
	o := p.opts
	o.Dir = t.TempDir()
	o.FS = m.put(t, o.Dir)
	defer os.RemoveAll(o.Dir)
	r := &rig{t: t, opts: o, clock: p.clock}
	must(t, r.open())
	for id, want := range p.whole {
		if err := p.compareOne(r, id, want); err != nil {
			t.Error(err)
		}
	}
	must(t, r.e.Abort())
}
