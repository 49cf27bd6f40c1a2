package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/datadir"
)

// The file testdata/recorded.tar.gz is a data directory that an earlier build
// wrote. Whoever changes the disk format on purpose keeps reading it and adds a
// second recording beside it.
var (
	recordTo   = flag.String("record", "", "write a new recorded data directory to this file")
	recordedAt = flag.String("recorded", "testdata/recorded.tar.gz", "the recorded data directory to read")
)

const recordedNode = "n1"

// recordedFlush is the slot that the recording has flushed, with one register.
const recordedFlush = 9000

// recordedChange is one register of the recording and what is voted for on it.
type recordedChange struct {
	register register.ID
	changes  []register.Change
	staged   bool
}

// recording lists the registers. Those of the first half are in Pebble; the
// other half is in the changelog only and is replayed.
func recording() []recordedChange {
	expiring := set("soon gone")
	expiring.Header.Expiry = 4_000_000_000_000
	var chunks register.Change
	chunks.Kind = register.Full
	chunks.Header = register.Header{Type: register.String, Size: 4 << 13}
	for i := range 4 {
		chunks.Ops = append(chunks.Ops, register.Op{Key: []byte{0, 0, 0, byte(i)}, Value: bytes.Repeat([]byte{byte('a' + i)}, 1<<13)})
	}
	patch := register.Change{
		Kind: register.Delta, Header: chunks.Header,
		Ops: []register.Op{{Kind: register.Patch, Key: []byte{0, 0, 0, 2}, Offset: 100, Value: []byte("patched")}},
	}
	var out []recordedChange
	for _, half := range []string{"pebble", "log"} {
		name := func(s string) register.ID { return key(0, half+":"+s) }
		out = append(out,
			recordedChange{name("string"), []register.Change{set("first"), set("second " + half)}, false},
			recordedChange{name("expiring"), []register.Change{expiring}, false},
			recordedChange{name("deleted"), []register.Change{set("gone"), {Kind: register.Full}}, false},
			recordedChange{name("chunks"), []register.Change{chunks, patch}, false},
			recordedChange{name("hash"), []register.Change{large(register.Hash, 5, half)}, false},
			recordedChange{name("set"), []register.Change{large(register.Set, 6, half)}, false},
			recordedChange{name("sorted set"), []register.Change{large(register.SortedSet, 7, half)}, false},
			recordedChange{name("list"), []register.Change{large(register.List, 8, half)}, false},
			recordedChange{name("stream"), []register.Change{large(register.Stream, 9, half)}, false},
			recordedChange{name("counted"), []register.Change{large(register.SortedSet, 1100, half)}, false},
			recordedChange{name("staged"), []register.Change{large(register.List, 1500, half)}, true},
		)
	}
	return out
}

// want returns what the register holds in the end.
func (c recordedChange) want() register.View {
	v := register.NewView(register.Header{}, register.Knowledge{All: true}, nil)
	for _, change := range c.changes {
		v = v.Apply(change)
	}
	return v
}

func recordedOptions(t *testing.T, dir string) Options {
	o := testOptions(t)
	o.Dir, o.FS, o.Node, o.SegmentBytes = dir, vfs.Default, recordedNode, 128<<10
	return o
}

// TestRecorded opens a data directory that an earlier build has written.
func TestRecorded(t *testing.T) {
	if *recordTo != "" {
		writeRecording(t, *recordTo)
	}
	dir := t.TempDir()
	unpack(t, *recordedAt, dir)
	r := newRig(t, recordedOptions(t, dir))
	checkRecorded(t, r)
	// Once more, with everything in Pebble and the present build's files.
	r.settle()
	r.reopen((*Engine).Close)
	checkRecorded(t, r)
}

func checkRecorded(t *testing.T, r *rig) {
	t.Helper()
	for _, c := range recording() {
		want := c.want()
		reply := r.read(c.register, register.Projection{})
		if reply.View.Header.Type != want.Header.Type || reply.View.Header.Expiry != want.Header.Expiry || reply.View.Header.Size != want.Header.Size {
			t.Errorf("%q has header %+v, want %+v", c.register.Key, reply.View.Header, want.Header)
		}
		r.wantWhole(c.register, want)
	}
	for _, spared := range []bool{true, false} {
		if got := r.read(flushedRegister(spared), register.Projection{}).View.Header.Exists(); got != spared {
			t.Errorf("the register spared by the flush (%v) exists: %v", spared, got)
		}
	}
	if got := r.e.NodeState(); got != recordedState() {
		t.Errorf("node state %+v, want %+v", got, recordedState())
	}
	if got := fmt.Sprint(r.e.Epochs()); got != fmt.Sprint([]durable.EpochTaken{{First: 0, Last: 100, Epoch: 3}}) {
		t.Errorf("epochs %s", got)
	}
	for _, l := range r.e.Lanes() {
		if n := len(l.Flushes()); n != 1 {
			t.Errorf("lane %d has %d flushes, want 1", l.number, n)
		}
	}
	if b, err := r.e.Placement(); err != nil || string(b) != "a placement" {
		t.Errorf("the placement is %q, %v", b, err)
	}
	claim := identity.Claim{Proposer: 7, Start: 8}
	if _, err := r.e.Admit(claim, nil); !errors.Is(err, datadir.ErrProposerTaken) {
		t.Errorf("another start was admitted under a proposer id: %v", err)
	}
	listed := r.list(0, 1000)
	live := 1 // what the flush spared
	for _, c := range recording() {
		if c.want().Header.Exists() {
			live++
		}
	}
	if len(listed) != live {
		t.Errorf("%d registers are listed, want %d", len(listed), live)
	}
	expired, err := r.e.Expired(5_000_000_000_000, &listing.Request{Last: partition.Slots - 1, Limit: 1000})
	if err != nil || len(expired.Entries) == 0 {
		t.Errorf("%d registers are listed as expired, %v", len(expired.Entries), err)
	}
	all := listing.TallyRequest{Databases: 1, Spans: []partition.SlotSpan{{First: 0, Last: partition.Slots - 1}}}
	tallied, err := r.e.Tally(&all)
	if err != nil || len(tallied.Tallies) != 1 || tallied.Tallies[0].Keys != uint64(live) {
		t.Errorf("tallies %+v, %v", tallied.Tallies, err)
	}
}

func flushedRegister(spared bool) register.ID {
	return register.ID{Slot: recordedFlush, Key: fmt.Sprintf("\x00flushed, spared %v", spared)}
}

func recordedState() durable.NodeState {
	return durable.NodeState{Floor: ballot.Ballot{Time: 1 << 20, Proposer: 3}, Ceiling: 1 << 30}
}

// writeRecording writes what TestRecorded reads.
func writeRecording(t *testing.T, path string) {
	dir := t.TempDir()
	r := newRig(t, recordedOptions(t, dir))
	r.clock.Wall = 1_700_000_000_000
	changes := recording()
	write := func(all []recordedChange) {
		for _, c := range all {
			for _, change := range c.changes {
				if c.staged {
					r.acceptStaged(c.register, change)
				} else {
					r.accept(c.register, change)
				}
			}
		}
	}
	write(changes[:len(changes)/2])
	if _, err := r.e.AppendNode(recordedState()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.e.AppendEpoch(durable.EpochTaken{First: 0, Last: 100, Epoch: 3}); err != nil {
		t.Fatal(err)
	}
	r.accept(flushedRegister(false), set("flushed"))
	r.settle()
	if err := r.e.checkpoint(r.e.changes.Appended()); err != nil {
		t.Fatal(err)
	}
	b := r.ballot()
	r.accept(flushedRegister(true), set("spared"))
	for i, l := range r.e.Lanes() {
		vote := durable.FlushVote{Part: uint32(i), Parts: uint32(len(r.e.Lanes())), First: recordedFlush, Last: recordedFlush, Ballot: b}
		if _, err := l.Append(durable.LogEntry{Flush: &vote}); err != nil {
			t.Fatal(err)
		}
	}
	write(changes[len(changes)/2:])
	if err := r.e.KeepPlacement([]byte("a placement")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.e.Admit(identity.Claim{Proposer: 7, Start: 7}, nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	if err := r.e.Abort(); err != nil {
		t.Fatal(err)
	}
	pack(t, dir, path)
}

func pack(t *testing.T, dir, path string) {
	t.Helper()
	var b bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	out := tar.NewWriter(zip)
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		if err := out.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = out.Write(content)
		return err
	})
	if err := errors.Join(err, out.Close(), zip.Close(), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, path, dir string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || strings.Contains(h.Name, "..") {
			t.Fatal(h, err)
		}
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		content, err := io.ReadAll(in)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}
