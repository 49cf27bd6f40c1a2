// Package rules lists the safety rules of the protocol, each with its section.
package rules

// Set is a set of safety rules of the protocol. Tests turn single rules off to
// show that the simulator notices: a checker that cannot fail proves nothing. That
// takes the build tag invariants; without it Has is a constant false, which the
// compiler removes with all that depends on it.
type Set uint64

// The rules that tests may omit, with the section that states them.
const (
	Quorum          Set = 1 << iota // §1 a quorum is a majority: else a majority less one
	Promise                         // §3 a lower ballot than the promise is refused
	Base                            // §3 a delta applies to its base only
	Grant                           // §3 a doubled Accept that is no longer current grants nothing
	Never                           // §3 a Nack is final only if the acceptor can tell
	Unused                          // §3 … by its lists, or because a promise was overtaken before it voted
	Durability                      // §2 an answer waits until what it shows is synced
	FloorRaised                     // §2 the floor is raised before promises are forgotten
	Ceiling                         // §2 nothing is promised above the ceiling
	RestartFloor                    // §2 after a restart the floor is at least the ceiling
	RestartID                       // §2 … with every proposer id
	CutRaised                       // §2 the cut is raised, never assigned
	MergeLineage                    // §2 lineages are merged on receipt, and the union is sent
	VotesOwn                        // §2 votes are never merged with a peer's
	Epoch                           // §2 a newer epoch is taken before it is answered
	EpochShown                      // §2 an epoch is taken only as the placement shows it
	Fetch                           // §3 a state that was read again counts only at the round's base
	Highest                         // §4.2.2 the highest accepted ballot is carried on
	EarlyAttempt                    // §4.2.3 no early answer below an own attempt
	EarlyBatch                      // §4.2.3 no early answer behind a change
	EarlyExpired                    // §4.2.3 no early answer from a state past its expiry
	EarlyChosen                     // §4.2.3 an early answer needs q promises that show h
	Granted                         // §4.2 a piggybacked (carried) promise needs q grants
	BallotOnce                      // §4.2 a piggybacked promise is used once
	RoundEpoch                      // §4 a round belongs to one epoch
	ReadQuorum                      // §4.1 a read needs q equal ballots
	Replies                         // §4.1 a command is answered from replies to what was sent for it
	Doubt                           // §5 a retry finds out first
	KeepAttempts                    // §5.2 attempts without effect may still come up
	Gap                             // §5.3 a gap in the links is undecided
	VotesNotLineage                 // §5.3 only votes count as votes
	CutUnknown                      // §5 at or below a cut is undecided
	Dropped                         // §5 at or below dropped is undecided
	Held                            // §7 held since before the command began
	SecondRead                      // §7 a snapshot reads the ballots again
	ExpiryChosen                    // §8 an expiry is chosen before it is reported
	ExpiredFull                     // §8 a command on an expired state sends a full change
	FlushCut                        // §8 a flush that drops lists raises their cut
	FlushAbsent                     // §8 what a flush covers and the node lacks answers f, not zero
	FlushRefuses                    // §8 a flush refuses what is promised above it
	FlushFloor                      // §8 the range's floor counts
	Unsent                          // §5 only what was never sent is known not to have arrived
	Parked                          // §5 … nor before one of its origin that is parked
	Order                           // a command that changed nothing is not executed again behind those that followed it
	OrderAside                      // … nor a read that has left its register
	Outage                          // §5 an outage leaves what was attempted in doubt
	RoomOpen                        // §3 a refusal for want of room is not final: the Accept may be voted for later
	RoomChosen                      // §4.2.3 a command is refused for want of room under the rules of those that change nothing
	RoomOrder                       // … and nothing is answered before one that was so refused and waits for its answer
	ProposerOnce                    // §1 a node admits one start under a proposer id
	ProposerQuorum                  // §1 nothing is sent before a quorum has admitted the id
	Rollback                        // §2 a node that has been rolled back does not vote
	On                              // §12.2 a change over several ballots is voted for only at the state that it leads from
	Undo                            // §12.4 an undo record serves only while its vote is the accepted one
	Kept                            // §12.3 a kept delta is voted for only at a state that leads to its base
	Range                           // §12.5 a range has every delta from a state that the member has
	end
)

// All is every rule.
const All = end - 1
