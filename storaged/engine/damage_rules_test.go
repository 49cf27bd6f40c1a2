//go:build invariants

package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/rules"
)

// lastLog returns the newest segment that has records, where each of them and
// each marker begins, and where they end. The last batch begins at batch.
func (m image) lastLog(t *testing.T) (name string, starts []int, batch, end int) {
	t.Helper()
	var id datadir.Identity
	must(t, json.Unmarshal(m[datadir.IdentityFile], &id))
	logs := m.logs()
	slices.Reverse(logs)
	for _, name := range logs {
		in := bufio.NewReader(bytes.NewReader(m[name][changelog.SegmentHeader:]))
		at, pos := changelog.SegmentHeader, binary.LittleEndian.Uint64(m[name][24:])
		for got, err := changelog.ReadRecord(in, id.Number(), pos, nil); err == nil; got, err = changelog.ReadRecord(in, id.Number(), pos, nil) {
			starts = append(starts, at)
			if got.Payload == nil {
				batch = at
			} else {
				pos++
			}
			at += got.Size
		}
		if len(starts) > 0 {
			return name, starts, batch, at
		}
	}
	return "", nil, 0, 0
}

// TestRulesAgainstDamage turns rules off, one by one, and wants to see the damage
// go unnoticed.
func TestRulesAgainstDamage(t *testing.T) {
	for name, test := range map[string]struct {
		omit   rules.Set
		damage func(t *testing.T, rnd *rand.Rand, m image)
	}{
		// The issue's: zeros in the middle, a marker behind them.
		"rest": {rules.Rest, func(t *testing.T, rnd *rand.Rand, m image) {
			m.old(t)
			if name, starts, batch, _ := m.lastLog(t); name != "" {
				from := min(batch, starts[rnd.IntN(len(starts))])
				clear(m[name][from:batch])
			}
		}},
		"position, last batch": {rules.Position, func(t *testing.T, rnd *rand.Rand, m image) {
			if name, _, batch, end := m.lastLog(t); name != "" {
				clear(m[name][batch+rnd.IntN(end-batch) : end])
			}
		}},
		"position, newest segment": {rules.Position, func(t *testing.T, _ *rand.Rand, m image) {
			name, _, _, _ := m.lastLog(t)
			delete(m, name)
		}},
		"identity": {rules.Identity, func(_ *testing.T, _ *rand.Rand, m image) {
			m[datadir.IdentityFile] = bytes.Replace(m[datadir.IdentityFile], []byte(`"lanes": 3`), []byte(`"lanes": 4`), 1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const lives, times = 40, 4
			for i := range uint64(lives) {
				p := live(t, 100+i, 25)
				for n := range uint64(times) {
					m := p.image.clone()
					test.damage(t, rand.New(rand.NewPCG(i, n)), m)
					if out, err := p.judge(t, m.clone(), 0); out == wrong {
						t.Fatalf("with all rules: %v", err)
					}
					if out, err := p.judge(t, m, test.omit); out == wrong {
						t.Logf("caught in life %d: %v", i+1, err)
						return
					}
				}
			}
			t.Errorf("not caught in %d lives", lives)
		})
	}
}

// wantRule wants a directory to be refused, and to show something wrong without
// a rule.
func wantRule(t *testing.T, p *past, omit rules.Set) {
	t.Helper()
	if out, err := p.judge(t, p.image.clone(), 0); out != refused {
		t.Errorf("with all rules: %d, %v", out, err)
	}
	if out, err := p.judge(t, p.image.clone(), omit); out != wrong {
		t.Errorf("without the rule: %d, %v", out, err)
	}
}

// TestRulePebbleIsAhead: what one lane has brought to Pebble shows that the log was
// durable up to there, for all lanes.
func TestRulePebbleIsAhead(t *testing.T) {
	o := testOptions(t)
	o.FS = vfs.NewCrashableMem()
	r := newRig(t, o)
	a, b := key(1, "a"), key(1, "b")
	for i := 0; r.lane(a) == r.lane(b); i++ {
		b = key(1, fmt.Sprint("b", i))
	}
	r.accept(b, set("b"))
	r.sync()
	end := r.e.changes.End()
	r.accept(a, set("a"))
	r.sync()
	must(t, r.e.Lanes()[r.lane(b)].finish(2))
	must(t, r.e.db.Flush())
	p := ended(r, map[string]string{a.Key: "a", b.Key: "b"})
	p.image.old(t)
	name := p.image.logs()[0]
	p.image[name] = p.image[name][:end]
	wantRule(t, p, rules.Applied)
}

// TestRuleTableOfAnother: a table of the same size in the place of another.
func TestRuleTableOfAnother(t *testing.T) {
	o := testOptions(t)
	o.FS = vfs.NewCrashableMem()
	r := newRig(t, o)
	whole := map[register.ID]register.View{}
	for i := range 20 {
		k, c := key(1, fmt.Sprint("k", 10+i)), large(register.Hash, 300, "value")
		r.acceptStaged(k, c)
		whole[k] = register.Nothing().Apply(c)
		r.settle()
		must(t, r.e.checkpoint(r.e.changes.Appended()))
		if a, b := r.tablesOfOneSize(); a != "" {
			p := ended(r, nil)
			p.whole = whole
			p.image[a], p.image[b] = p.image[b], p.image[a]
			wantRule(t, p, rules.Tables)
			return
		}
	}
	t.Error("no two tables of one size")
}

// tablesOfOneSize returns two tables of elements that are in use, if there are
// such.
func (r *rig) tablesOfOneSize() (a, b string) {
	levels, err := r.e.db.SSTables()
	must(r.t, err)
	sizes := map[uint64]string{}
	for _, level := range levels {
		for _, f := range level {
			name := filepath.Join(datadir.PebbleDir, fmt.Sprintf("%06d.sst", uint64(f.BackingSSTNum)))
			if b = sizes[f.Size]; b != "" {
				return name, b
			}
			if f.Size > 4<<10 {
				sizes[f.Size] = name
			}
		}
	}
	return "", ""
}
