// Package rules names the rules of the storage that tests can turn off, to show
// that something fails without them.
package rules

// Set are rules of the store that a test can turn off (engine.Options), to
// show that a test fails without them. That takes a build with the tag
// invariants; in all others, no rule can be turned off.
type Set uint32

// The rules against damage.
const (
	// ruleRest: what follows the last readable entry of the changelog is searched
	// for markers, whether it is zeros or anything else.
	Rest Set = 1 << iota
	// rulePosition: the position file is read, and must exist.
	Position
	// ruleApplied: the positions in Pebble, which never shows what the changelog
	// may lose, are checked against the changelog.
	Applied
	// ruleIdentity: the identity's checksum is verified.
	Identity
	// ruleTables: a table must hold the keys that Pebble's manifest says it holds.
	Tables
)

// The rules of the tallies and of listing.
const (
	TallyRows     Set = 1 << (16 + iota) // the rows' tallies go to disk with the rows
	TallyFlush                           // a flush takes away what it covers
	TallySpared                          // … and nothing else
	ListUnwritten                        // a page has what Pebble does not have yet
	TallyCovered                         // a row that a flush covers counts for nothing
)
