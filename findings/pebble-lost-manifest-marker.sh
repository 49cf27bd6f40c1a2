#!/usr/bin/env bash
# Pebble deletes the tables of a directory that lacks its manifest marker.
#
# Library:   github.com/cockroachdb/pebble/v2 v2.1.7
# Input:     a database of five flushed keys, closed in order; of a copy of its
#            directory one file is missing, marker.manifest.*, as after a restore
#            that was incomplete. All tables and the MANIFEST are there.
# Behaviour: Open with default options returns no error. It takes the directory
#            for a new database, writes a new MANIFEST (here over the old one, which
#            has the same name), and deletes the tables. What is left is what an old
#            WAL happened to hold.
#            With ErrorIfNotExists, Open fails with ErrDBDoesNotExist and touches
#            no table.
# Surprise:  the documentation says that a database is created if there is none;
#            not that tables which are there are deleted by it.
# Go by:     a database that has to be there is opened with ErrorIfNotExists.
# Seen:
#   whole:                            5 keys, 5 tables
#   no marker, ErrorIfNotExists:      pebble: database does not exist; 5 tables
#   no marker, default options:       no error; 1 keys, 1 tables
#   MANIFEST, before and after:       309 and 93 bytes
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod

cat >main.go <<'EOF'
package main

import (
	"bytes"
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

func open(ifThere bool) (*pebble.DB, error) {
	return pebble.Open("db", &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, DisableAutomaticCompactions: true,
		ErrorIfNotExists: ifThere, Logger: silent{},
	})
}

func keys(db *pebble.DB) (n int) {
	rows, err := db.NewIter(nil)
	must(err)
	for rows.First(); rows.Valid(); rows.Next() {
		n++
	}
	must(rows.Close())
	return n
}

func tables() int {
	found, err := filepath.Glob("db/*.sst")
	must(err)
	return len(found)
}

func manifest(dir string) []byte {
	found, err := filepath.Glob(dir + "/MANIFEST-*")
	must(err)
	b, err := os.ReadFile(found[0])
	must(err)
	return b
}

func main() {
	db, err := open(false)
	must(err)
	for i := range 5 {
		must(db.Set(fmt.Append(nil, "key", i), []byte("value"), pebble.Sync))
		must(db.Flush())
	}
	fmt.Printf("whole:                            %d keys, %d tables\n", keys(db), tables())
	must(db.Close())
	must(os.CopyFS("copy", os.DirFS("db")))
	must(os.Rename("db", "original"))
	must(os.Rename("copy", "db"))
	markers, err := filepath.Glob("db/marker.manifest.*")
	must(err)
	must(os.Remove(markers[0]))

	_, err = open(true)
	refused := errors.Is(err, pebble.ErrDBDoesNotExist) && tables() == 5
	fmt.Printf("no marker, ErrorIfNotExists:      %v; %d tables\n", pebble.ErrDBDoesNotExist, tables())

	db, err = open(false)
	must(err)
	left := keys(db)
	must(db.Close())
	gone := tables() < 5 && left < 5 && !bytes.Equal(manifest("db"), manifest("original"))
	fmt.Printf("no marker, default options:       no error; %d keys, %d tables\n", left, tables())
	fmt.Printf("MANIFEST, before and after:       %d and %d bytes\n", len(manifest("original")), len(manifest("db")))
	if !refused || !gone {
		log.Fatal("the behaviour is another one")
	}
}
EOF
go mod init finding 2>/dev/null
go get github.com/cockroachdb/pebble/v2@v2.1.7 2>/dev/null
go run .
