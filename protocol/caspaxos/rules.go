package caspaxos

import "testing"

// Rules is a set of safety rules of the protocol. Each can be turned off, by
// tests only, to show that the simulator notices: a checker that cannot fail
// proves nothing.
type Rules uint64

// The rules that tests may omit, with the section that states them.
const (
	RuleQuorum          Rules = 1 << iota // §1 a quorum is a majority: else a majority less one
	RulePromise                           // §3 a lower ballot than the promise is refused
	RuleBase                              // §3 a delta applies to its base only
	RuleGrant                             // §3 a doubled Accept that is no longer current grants nothing
	RuleNever                             // §3 a Nack is final only if the acceptor can tell
	RuleUnused                            // §3 … by its lists, or because a promise was overtaken before it voted
	RuleDurability                        // §2 an answer waits until what it shows is synced
	RuleFloorRaised                       // §2 the floor is raised before promises are forgotten
	RuleCeiling                           // §2 nothing is promised above the ceiling
	RuleRestartFloor                      // §2 after a restart the floor is at least the ceiling
	RuleRestartID                         // §2 … with every proposer id
	RuleCutRaised                         // §2 the cut is raised, never assigned
	RuleMergeLineage                      // §2 lineages are merged on receipt, and the union is sent
	RuleVotesOwn                          // §2 votes are never merged with a peer's
	RuleEpoch                             // §2 a newer epoch is taken before it is answered
	RuleEpochShown                        // §2 an epoch is taken only as the placement shows it
	RuleFetch                             // §3 a state that was read again counts only at the round's base
	RuleHighest                           // §4.2.2 the highest accepted ballot is carried on
	RuleEarlyAttempt                      // §4.2.3 no early answer below an own attempt
	RuleEarlyBatch                        // §4.2.3 no early answer behind a change
	RuleEarlyExpired                      // §4.2.3 no early answer from a state past its expiry
	RuleEarlyChosen                       // §4.2.3 an early answer needs q promises that show h
	RuleGranted                           // §4.2 a carried promise needs q grants
	RuleBallotOnce                        // §4.2 a carried promise is used once
	RuleRoundEpoch                        // §4 a round belongs to one epoch
	RuleReadQuorum                        // §4.1 a read needs q equal ballots
	RuleReplies                           // §4.1 a command is answered from replies to what was sent for it
	RuleDoubt                             // §5 a retry finds out first
	RuleKeepAttempts                      // §5.2 attempts without effect may still come up
	RuleGap                               // §5.3 a gap in the links is undecided
	RuleVotesNotLineage                   // §5.3 only votes count as votes
	RuleCutUnknown                        // §5 at or below a cut is undecided
	RuleDropped                           // §5 at or below dropped is undecided
	RuleHeld                              // §7 held since before the command began
	RuleSecondRead                        // §7 a snapshot reads the ballots again
	RuleExpiryChosen                      // §8 an expiry is chosen before it is reported
	RuleExpiredFull                       // §8 a command on an expired state sends a full change
	RuleFlushCut                          // §8 a flush that drops lists raises their cut
	RuleFlushAbsent                       // §8 what a flush covers and the node lacks answers f, not zero
	RuleFlushRefuses                      // §8 a flush refuses what is promised above it
	RuleFlushFloor                        // §8 the range's floor counts
	RuleUnsent                            // §5 only what was never sent is known not to have arrived
	RuleParked                            // §5 … nor one that was parked, behind those that went before it
	RuleParkedChosen                      // §5 what was parked is answered as not done when a later ballot is chosen
	RuleOrder                             // a command that changed nothing is not executed again behind those that followed it
	RuleOrderAside                        // … nor a read that has left its register
	RuleOutage                            // §5 an outage leaves what was attempted in doubt
	RuleRoomOpen                          // §3 a refusal for want of room is not final: the Accept may be voted for later
	RuleRoomChosen                        // §4.2.3 a command is refused for want of room under the rules of those that change nothing
	RuleRoomOrder                         // … and nothing is answered before one that was so refused and waits for its answer
	RuleProposerOnce                      // §1 a node admits one start under a proposer id
	RuleProposerQuorum                    // §1 nothing is sent before a quorum has admitted the id
	RuleRollback                          // §2 a node that has been rolled back does not vote
	ruleEnd
)

// AllRules is every rule.
const AllRules = ruleEnd - 1

// omitted guards the switch: it panics outside of tests.
func omitted(r Rules) Rules {
	if r != 0 && !testing.Testing() {
		panic("caspaxos: safety rules may be omitted in tests only")
	}
	return r
}

func (r Rules) has(x Rules) bool { return r&x != 0 }

// Omits reports whether x is among the rules to omit. Outside of tests none may
// be.
func (r Rules) Omits(x Rules) bool { return r != 0 && omitted(r).has(x) }
