package wire

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/caspaxos/durable"
)

// TestCorpusStaysTheSame decodes and encodes what earlier builds have encoded, the
// seeds in testdata/fuzz, and wants the same bytes: neither the wire's format nor
// that of the disk has changed.
func TestCorpusStaysTheSame(t *testing.T) {
	for name, encode := range map[string]func(b []byte) ([]byte, error){
		"FuzzBatch": func(payload []byte) (out []byte, err error) {
			b := NewBatch(payload)
			for b.Next() {
				_, _, encoded, err := again(&b)
				if err != nil {
					return nil, err
				}
				out = append(out, encoded...)
			}
			return out, b.Err()
		},
		"FuzzLogEntry": func(b []byte) ([]byte, error) {
			e, err := DecodeLogEntry(b)
			return AppendLogEntry(nil, &e), err
		},
		"FuzzRecord": func(b []byte) ([]byte, error) {
			var rec durable.Record
			rest, err := DecodeRecord(b, &rec)
			return append(AppendRecord(nil, &rec), rest...), err
		},
	} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", name, "seed-*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", name, len(files), err)
		}
		for _, path := range files {
			seed := readSeed(t, path)
			if got, err := encode(bytes.Clone(seed)); err != nil || !bytes.Equal(got, seed) {
				t.Errorf("%s: %v\n have %x\n want %x", path, err, got, seed)
			}
		}
	}
}

// readSeed reads a file of a fuzz corpus with one argument of bytes.
func readSeed(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, arg, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	text, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(arg, "[]byte("), ")"))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return []byte(text)
}
