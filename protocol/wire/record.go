package wire

import (
	"synod/protocol/caspaxos/durable"
)

// RecordFormat is the first byte of a record's row.
const RecordFormat = 1

const (
	recordPrepared = 1 << iota
	recordIntent
)

// AppendRecord appends the part of a record that a row holds: all fields except
// Register, which is the row's key, and Pos and Since, which are valid in this
// process only. The caller may append more.
func AppendRecord(dst []byte, rec *durable.Record) []byte {
	dst = append(dst, RecordFormat, byte(flag(rec.Prepared, recordPrepared)|flag(rec.Intent != nil, recordIntent)))
	dst = AppendBallot(dst, rec.Accepted)
	dst = AppendLineage(dst, &rec.Lineage)
	dst = appendVotes(dst, rec.Votes)
	if rec.Intent != nil {
		dst = appendBytes(dst, rec.Intent)
	}
	return AppendHeader(dst, &rec.Header)
}

// DecodeRecord decodes what AppendRecord wrote into rec and returns the bytes that
// follow. It does not touch Register, Pos and Since. Header.Aux, Intent and rest
// alias b. After an error rec must not be used.
func DecodeRecord(b []byte, rec *durable.Record) (rest []byte, err error) {
	r := reader{b: b}
	if r.byte() != RecordFormat {
		r.fail(wrongFormat)
	}
	flags := r.byte()
	if flags&^(recordPrepared|recordIntent) != 0 {
		r.fail(badFlags)
	}
	rec.Prepared = flags&recordPrepared != 0
	rec.Accepted = r.ballot()
	r.lineage(&rec.Lineage)
	rec.Votes = r.votes()
	rec.Intent = nil
	if flags&recordIntent != 0 {
		rec.Intent = r.bytes()
	}
	r.header(&rec.Header)
	if r.why != "" {
		return nil, r.problem("record")
	}
	return b[r.i:], nil
}
