package engine

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/tables"
)

// damagedInside returns a life of which a table has damage that opening does not
// see: it is in none of the blocks that are read then.
func damagedInside(t *testing.T) *past {
	t.Helper()
	o := testOptions(t)
	o.FS = vfs.NewCrashableMem()
	r := newRig(t, o)
	values := map[string]string{}
	for i := range 40 {
		k := key(1, fmt.Sprint("k", i))
		values[k.Key] = random(uint64(i), 2000)
		r.accept(k, set(values[k.Key]))
	}
	r.settle()
	must(t, r.e.checkpoint(r.e.changes.Appended()))
	p := ended(r, values)
	for name, b := range p.image {
		if filepath.Ext(name) == ".sst" && len(b) > 60<<10 {
			b[len(b)/2] ^= 1
			return p
		}
	}
	t.Fatal("no large table")
	return nil
}

// TestDamageMetLater: what one start refuses because background work met the
// damage, another may open. It must not show anything wrong.
func TestDamageMetLater(t *testing.T) {
	for _, test := range []struct {
		background, loses bool
		want              outcome
	}{{background: true, want: refused}, {background: false, want: wrong}, {background: true, loses: true, want: wrong}} {
		p := damagedInside(t)
		if test.loses {
			p.state.Ceiling++ // was acknowledged, is not there
		}
		o := p.opts
		o.Dir = t.TempDir()
		o.FS = p.image.put(t, o.Dir)
		if out, err := p.again(t, o, tables.ErrTable, test.background); out != test.want {
			t.Errorf("%+v: outcome %d, %v", test, out, err)
		}
	}
	p := damagedInside(t)
	if out, err := p.judge(t, p.image, 0); out != refused {
		t.Errorf("read: outcome %d, %v", out, err)
	}
}

// TestRefusalTakesNothing: if Pebble meets damage after Open, Replay refuses the
// directory, and leaves the changelog and the tables as they were.
func TestRefusalTakesNothing(t *testing.T) {
	p := damagedInside(t)
	o := p.opts
	o.Dir = t.TempDir()
	o.FS = p.image.put(t, o.Dir)
	o.Wake, o.Synced, o.Fatal = func(int) {}, func(changelog.Synced) {}, func(error) {}
	e, err := Open(o)
	must(t, err)
	e.fail(tables.ErrTable) // as a compaction does
	if err := e.Replay(nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("replay: %v", err)
	}
	must(t, e.Abort())
	now := takeImage(t, o.Dir, o.FS)
	for name, b := range p.image {
		if filepath.Dir(name) != datadir.PebbleDir || filepath.Ext(name) == ".sst" {
			if !bytes.Equal(now[name], b) {
				t.Errorf("%s has changed: %d bytes of %d", name, len(now[name]), len(b))
			}
			delete(now, name)
		}
	}
	for _, name := range now.logs() {
		t.Errorf("%s is new", name)
	}
}
