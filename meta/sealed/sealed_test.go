package sealed

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// damages is what may happen to the bytes of a file.
var damages = map[string]func(r *rand.Rand, b []byte) []byte{
	"zeroed": func(r *rand.Rand, b []byte) []byte {
		from := r.IntN(len(b))
		clear(b[from:min(len(b), from+1+r.IntN(64))])
		return b
	},
	"flipped": func(r *rand.Rand, b []byte) []byte {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return b
	},
	"cut": func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] },
	"doubled": func(r *rand.Rand, b []byte) []byte {
		from := r.IntN(len(b))
		return append(b[:from:from], append(bytes.Clone(b[from:]), b[from:]...)...)
	},
}

// TestDamageIsSeen: whatever happens to a file, what is read is what was written
// or an error.
func TestDamageIsSeen(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				path := filepath.Join(t.TempDir(), "f")
				want := make([]byte, 1+r.IntN(200))
				for i := range want {
					want[i] = byte(1 + r.IntN(255))
				}
				if err := Write(path, "label", want); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage(r, b), 0o600); err != nil {
					t.Fatal(err)
				}
				if got, err := Read(path, "label"); err != nil && !errors.Is(err, ErrDamaged) || err == nil && !bytes.Equal(got, want) {
					t.Fatalf("%q, %v; written was %q", got, err, want)
				}
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "f"), "label"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestMirrorOutlivesHalf: damage anywhere in one half of a mirror costs nothing,
// and damage anywhere else is never taken for content.
func TestMirrorOutlivesHalf(t *testing.T) {
	const most = 100
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 96 {
		path := filepath.Join(t.TempDir(), "f")
		m, content, err := OpenMirror(path, "label", most)
		if err != nil || content != nil {
			t.Fatalf("%q, %v", content, err)
		}
		var want []byte
		for range 1 + r.IntN(4) {
			want = bytes.Repeat([]byte{byte(1 + r.IntN(255))}, 1+r.IntN(most))
			if err := m.Write(want); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		from := r.IntN(2) * m.half
		clear(b[from+r.IntN(seal) : from+seal+r.IntN(most)])
		if round%2 == 0 {
			b[from+r.IntN(seal)] ^= 1
		}
		if round%8 == 7 {
			b = b[:m.half+r.IntN(m.half)] // a torn second half, and perhaps a damaged first
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, content, err = OpenMirror(path, "label", most)
		if round%8 == 7 && errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil || !bytes.Equal(content, want) {
			t.Fatalf("round %d: %q, %v; written was %q", round, content, err, want)
		}
		if err := m.Write([]byte("next")); err != nil {
			t.Fatal(err)
		}
		if _, content, err = OpenMirror(path, "label", most); err != nil || string(content) != "next" {
			t.Fatalf("%q, %v", content, err)
		}
	}
}

// TestTornWriteLeavesOldOrNew: a write that a crash cut short leaves the old content or
// the new, in whichever half it was.
func TestTornWriteLeavesOldOrNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	m, _, err := OpenMirror(path, "label", 50)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write([]byte("old")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write([]byte("the new one")); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range after {
		torn := append(bytes.Clone(after[:n]), before[n:]...)
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		_, content, err := OpenMirror(path, "label", 50)
		if want := "the new one"; err != nil || string(content) != "old" && string(content) != want ||
			n > m.half && string(content) != want {
			t.Fatalf("torn at %d: %q, %v", n, content, err)
		}
	}
	if _, _, err := OpenMirror(path, "another label", 50); !errors.Is(err, ErrDamaged) {
		t.Errorf("content of another label: %v", err)
	}
	if err := m.Write(make([]byte, 51)); err == nil {
		t.Error("a payload that has no room was written")
	}
}
