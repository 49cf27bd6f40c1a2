package rdbfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"synod/protocol/register"
	"synod/proxy/datatype/rdb"
)

func text(s string) []byte { return []byte("\x00" + string(rdb.AppendString(nil, []byte(s)))) }

// entries is a file's content, with every readable type.
func entries() []Entry {
	id := strings.Repeat("\x00", 16)
	return []Entry{
		{DB: 0, Key: []byte("string"), Value: text("value")},
		{DB: 0, Key: []byte("compressed"), Value: text(strings.Repeat("abc", 100)), Expiry: 4e12},
		{DB: 0, Key: []byte("123"), Value: text("-70000")},
		{DB: 3, Key: []byte("list"), Value: []byte("\x01\x02\x01a\xc0\x05")},
		{DB: 3, Key: []byte("set"), Value: []byte("\x02\x01\x01a")},
		{DB: 3, Key: []byte("scores"), Value: []byte("\x03\x03\x01a\x031.5\x01b\xfd\x01c\xff")},
		{DB: 3, Key: []byte("hash"), Value: []byte("\x04\x01\x01a\x01b")},
		{DB: 15, Key: []byte("zset"), Value: []byte("\x05\x01\x01a12345678"), Expiry: 1},
		{DB: 15, Key: []byte("packed"), Value: []byte("\x10\x07\x07\x00\x00\x00\x00\x00\xff")},
		{DB: 15, Key: []byte("ziplists"), Value: []byte("\x0e\x01\x01x")},
		{DB: 0, Key: []byte("quicklist"), Value: []byte("\x12\x02\x01\x01x\x02\x01y")},
		{DB: 0, Key: []byte("stream"), Value: []byte("\x13\x01\x10" + id + "\x01x" + "\x01\x02\x03\x04\x05\x06\x07\x08" +
			"\x01\x01g\x01\x02\x03\x01" + id + "12345678\x05" + "\x01\x01c12345678\x01" + id)},
		{DB: 0, Key: []byte("old stream"), Value: []byte("\x0f\x00\x01\x02\x03\x00")},
		{DB: 0, Key: []byte("new stream"), Value: []byte("\x15\x00\x01\x02\x03\x04\x05\x06\x07\x08\x01\x01g\x01\x02\x03\x00\x01\x01c1234567812345678\x00")},
	}
}

func written(t *testing.T) []byte {
	var file bytes.Buffer
	w := NewWriter(&file, "name", "value")
	for _, e := range entries() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func same(a, b Entry) bool {
	return a.DB == b.DB && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Expiry == b.Expiry && errors.Is(a.Err, ErrModule) == errors.Is(b.Err, ErrModule)
}

// fails reads to the end or an error, which it returns.
func fails(file []byte) error {
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		_, err = r.Next()
	}
	return err
}

// readAll reads until the end or an error, and checks that reading can resume
// at every position between two entries.
func readAll(t *testing.T, file []byte) (out []Entry, err error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		var e Entry
		at := r.Position()
		if e, err = r.Next(); err != nil {
			break
		}
		if again, err := Resume(bytes.NewReader(file), at); err != nil {
			t.Fatal(err)
		} else if f, err := again.Next(); err != nil || !same(e, f) || again.Position() != r.Position() {
			t.Errorf("read on at %+v: %+v, %v; want %+v", at, f, err, e)
		}
		out = append(out, e)
	}
	return out, err
}

func TestComesBack(t *testing.T) {
	got, err := readAll(t, written(t))
	if !errors.Is(err, io.EOF) || len(got) != len(entries()) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, want := range entries() {
		if !same(got[i], want) {
			t.Errorf("got %+v, want %+v", got[i], want)
		}
	}
}

// timed is a hash with a field that expires, and one that does not.
var timed = Entry{DB: 1, Key: []byte("timed"), Value: []byte("\x18\x00\x01\x02\x03\x04\x05\x00\x00\x02\x01\x01f\x01v\x00\x01g\x01w")}

// TestNewer checks that a file gets the later version if a value needs it, even
// if that value comes late or writing is interrupted.
func TestNewer(t *testing.T) {
	packed := Entry{DB: 1, Key: []byte("packed"), Value: []byte("\x19\x00\x01\x02\x03\x04\x05\x00\x00\x03abc")}
	all := append(entries(), timed, packed, entries()[0])
	for _, after := range []int{len(all) - 4, len(all) - 2, len(all)} {
		var file bytes.Buffer
		w := NewWriter(&file, "name", "value")
		for i, e := range all {
			if i == after {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				w = ResumeWriter(&file, w.Position())
			}
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		copy(file.Bytes(), w.Head())
		got, err := readAll(t, file.Bytes())
		if !errors.Is(err, io.EOF) || len(got) != len(all) || string(w.Head()) != "REDIS0012" {
			t.Fatalf("%s: %d entries, %v", w.Head(), len(got), err)
		}
		for i := range all {
			if !same(got[i], all[i]) {
				t.Errorf("got %+v, want %+v", got[i], all[i])
			}
		}
	}
}

// A writer that resumes produces the same file.
func TestWriterResumes(t *testing.T) {
	whole := written(t)
	for n := range entries() {
		var file bytes.Buffer
		w := NewWriter(&file, "name", "value")
		for i, e := range entries() {
			if i == n {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				w = ResumeWriter(&file, w.Position())
			}
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil || !bytes.Equal(file.Bytes(), whole) {
			t.Errorf("interrupted after %d: %v, %d bytes, want %d", n, err, file.Len(), len(whole))
		}
	}
}

func TestDamageIsNoticed(t *testing.T) {
	whole := written(t)
	for n := range whole {
		if err := fails(whole[:n]); !errors.Is(err, ErrFormat) {
			t.Errorf("cut at %d of %d: %v", n, len(whole), err)
		}
		if n < len(magic)+4 {
			continue // the version may be another
		}
		bad := bytes.Clone(whole)
		bad[n] ^= 4
		if err := fails(bad); errors.Is(err, io.EOF) {
			t.Errorf("byte %d is damaged: not noticed", n)
		}
	}
	for _, head := range []string{"", "REDIS", "REDIS0013", "REDIS00x1", "REDIT0010", "REDIS0000"} {
		if _, err := NewReader(strings.NewReader(head)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", head, err)
		}
	}
}

// Metadata of entries and of the file, and entries that are not Redis keys.
func TestOpcodes(t *testing.T) {
	file := "REDIS0003" + // without a checksum
		"\xfa\x03ver\x033.2" + "\xfe\x02" + "\xfb\x05\x01" +
		"\xfd\x10\x00\x00\x00\x00\x01s\x01v" +
		"\xfc\x10\x00\x00\x00\x00\x00\x00\x00\xf8\x40\x80\x00\x01m\x01v" +
		"\xf9\x05\x00\x01f\x01v" + "\xf4\x05\x01\x00" +
		"\xf5\x08function" + "\xf7\x81\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x01\x05\x02\x06\x03abcd\x04abcdefgh\x05\x01x\x00" +
		"\x07\x03mod\x81\x04\x10\x41\x04\x10\x41\x04\x00\x05\x01x\x00" +
		"\x00\x01k\x01v" + "\xff"
	got, err := readAll(t, []byte(file))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	want := []Entry{
		{DB: 2, Key: []byte("s"), Value: text("v"), Expiry: 16000},
		{DB: 2, Key: []byte("m"), Value: text("v"), Expiry: 16},
		{DB: 2, Key: []byte("f"), Value: text("v")},
		{DB: 2, Key: []byte("mod"), Err: ErrModule},
		{DB: 2, Key: []byte("k"), Value: text("v")},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if !same(got[i], want[i]) {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	r, err := NewReader(strings.NewReader(file))
	for err == nil {
		_, err = r.Next()
	}
	if n := r.Skipped(); n["function libraries"] != 1 || n["data of modules"] != 1 || r.Aux()["ver"] != "3.2" {
		t.Errorf("skipped %v, aux %v", n, r.Aux())
	}
}

// The version in a module's id; the id also has the letters of its name.
func TestModuleName(t *testing.T) {
	if got := moduleName(0x0410410410410400); got != "BBBBBBBBB" {
		t.Error(got)
	}
}

// TestClaims checks that lengths beyond the input take no memory.
func TestClaims(t *testing.T) {
	huge := "\x81\x7f\xff\xff\xff\xff\xff\xff\xff"
	for kind := range 26 {
		if kind == 6 || kind == 8 {
			continue
		}
		err := fails([]byte("REDIS0012" + string(rune(kind)) + "\x01k" + huge + "x"))
		if !errors.Is(err, ErrFormat) {
			t.Errorf("type %d: %v", kind, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(written(&testing.T{}))
	f.Add([]byte("REDIS0011\xf5\x01x\x07\x01k\x01\x02\x01\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		for err == nil {
			var e Entry
			if e, err = r.Next(); err == nil && e.Err == nil {
				if v, bad := rdb.Parse(e.Value); bad == nil && v.Type == register.Absent {
					t.Errorf("a value without a type: %q", e.Value)
				}
			}
		}
	})
}
