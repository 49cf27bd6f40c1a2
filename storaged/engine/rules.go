package engine

// rules are rules of the store that a test can turn off (engine.Options), to
// show that a test fails without them. That takes a build with the tag
// invariants; in all others, no rule can be turned off.
type rules uint32

// The rules against damage.
const (
	// ruleRest: what follows the last readable entry of the changelog is searched
	// for markers, whether it is zeros or anything else.
	ruleRest rules = 1 << iota
	// rulePosition: the position file is read, and must exist.
	rulePosition
	// ruleApplied: the positions in Pebble, which never shows what the changelog
	// may lose, are checked against the changelog.
	ruleApplied
	// ruleIdentity: the identity's checksum is verified.
	ruleIdentity
	// ruleTables: a table must hold the keys that Pebble's manifest says it holds.
	ruleTables
)

// The rules of the tallies and of listing.
const (
	tallyRows     rules = 1 << (16 + iota) // the rows' tallies go to disk with the rows
	tallyFlush                             // a flush takes away what it covers
	tallySpared                            // … and nothing else
	listUnwritten                          // a page has what Pebble does not have yet
	tallyCovered                           // a row that a flush covers counts for nothing
)
