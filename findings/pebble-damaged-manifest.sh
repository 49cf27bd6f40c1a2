#!/usr/bin/env bash
# Pebble takes a damaged record of its MANIFEST for the MANIFEST's end, and deletes
# the tables that the records behind it name.
#
# Library:   github.com/cockroachdb/pebble/v2 v2.1.7
# Input:     a database of twenty keys, each flushed to a table of its own, closed
#            in order. One bit in the middle of the MANIFEST is flipped; behind it
#            are ten intact records.
# Behaviour: Open returns no error. The database is what it was ten flushes before,
#            and the tables of the later ones are deleted. A bit in a table is
#            noticed, when its block is read, as ErrCorruption; one in the MANIFEST
#            is not, though its records have checksums.
# Surprise:  a record that is damaged, with whole ones behind it, is not what a
#            crash leaves at the end of a file.
# Go by:     keep elsewhere how far the database had come, and compare after Open.
# Seen:
#   whole:                 20 keys, 20 tables
#   one bit, MANIFEST:     no error; 10 keys, 10 tables
#   one bit, a table:      corruption is reported
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod

cat >main.go <<'EOF'
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

type silent struct{}

func (silent) Infof(string, ...any)         {}
func (silent) Errorf(string, ...any)        {}
func (silent) Fatalf(f string, args ...any) { log.Fatalf(f, args...) }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func open(dir string) (*pebble.DB, error) {
	return pebble.Open(dir, &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, DisableAutomaticCompactions: true,
		ErrorIfNotExists: dir != "db", Logger: silent{},
		// The default one ends the process.
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
	})
}

func keys(db *pebble.DB) (n int, err error) {
	rows, err := db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	for rows.First(); rows.Valid(); rows.Next() {
		n++
	}
	return n, errors.Join(rows.Error(), rows.Close())
}

func tables(dir string) int {
	found, err := filepath.Glob(dir + "/*.sst")
	must(err)
	return len(found)
}

// flip copies the database and flips the lowest bit of the byte in the middle of
// a file.
func flip(dir, pattern string, at func(size int) int) {
	must(os.CopyFS(dir, os.DirFS("db")))
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	must(err)
	b, err := os.ReadFile(found[0])
	must(err)
	b[at(len(b))] ^= 1
	must(os.WriteFile(found[0], b, 0o644))
}

func main() {
	db, err := open("db")
	must(err)
	for i := range 20 {
		must(db.Set(fmt.Appendf(nil, "key%02d", i), []byte("value"), pebble.Sync))
		must(db.Flush())
	}
	n, err := keys(db)
	must(err)
	must(db.Close())
	fmt.Printf("whole:                 %d keys, %d tables\n", n, tables("db"))

	flip("manifest", "MANIFEST-*", func(size int) int { return size / 2 })
	db, err = open("manifest")
	must(err)
	n, err = keys(db)
	must(err)
	must(db.Close())
	fmt.Printf("one bit, MANIFEST:     no error; %d keys, %d tables\n", n, tables("manifest"))
	holds := n < 20 && tables("manifest") < 20

	flip("table", "*.sst", func(int) int { return 3 })
	db, err = open("table")
	if err == nil {
		_, err = keys(db)
		_ = db.Close()
	}
	if pebble.IsCorruptionError(err) {
		fmt.Println("one bit, a table:      corruption is reported")
	} else {
		fmt.Printf("one bit, a table:      %v\n", err)
	}
	if !holds || !pebble.IsCorruptionError(err) {
		log.Fatal("the behaviour is another one")
	}
}
EOF
go mod init finding 2>/dev/null
go get github.com/cockroachdb/pebble/v2@v2.1.7 2>/dev/null
go run .
