package txn

import (
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/register"
)

// registers is a Submitter that counts the reads of each register and tells the
// ballot that it stands at.
type registers struct {
	at     map[string]uint16
	reads  map[string]int
	before func(c *proposer.Command) // called before each command
}

func (*registers) Now() instant.Mono { return 1 }

func (r *registers) Submit(cmds []*proposer.Command) {
	for _, c := range cmds {
		r.before(c)
		key := c.Register.Key
		if _, second := c.Op.(probe); !second {
			r.reads[key]++
			c.Result = r.at[key]
		}
		c.Seen.Ballot = ballot.Ballot{Time: ballot.MakeTime(1, r.at[key]), Proposer: 1}
		c.Done(c)
	}
}

// What has changed between the first and the second reads is read once more, and
// nothing else; what is read then is compared with second reads that come later.
func TestOnlyWhatChangedIsReadAgain(t *testing.T) {
	probes := 0
	r := &registers{at: map[string]uint16{}, reads: map[string]int{}}
	r.before = func(c *proposer.Command) {
		if _, second := c.Op.(probe); !second {
			return
		}
		switch probes++; probes {
		case 2:
			r.at["b"]++ // is seen
		case 5:
			r.at["b"]++ // once more, and what the second reads of this round have passed
			r.at["a"]++
		}
	}
	var cmds []*proposer.Command
	for _, key := range []string{"a", "b", "c"} {
		cmds = append(cmds, &proposer.Command{Register: register.ID{Key: key}, Op: work{reads: true}})
	}
	s := Snapshots{Registers: r, Limits: limits.Default()}
	ended := false
	s.Read(cmds, nil, func([]*proposer.Command) { ended = true })
	if !ended || probes != 12 {
		t.Fatalf("ended %v after %d second reads, want 12", ended, probes)
	}
	if r.reads["a"] != 2 || r.reads["b"] != 3 || r.reads["c"] != 1 {
		t.Errorf("read %v", r.reads)
	}
	if cmds[0].Result != uint16(1) || cmds[1].Result != uint16(2) {
		t.Errorf("%v and %v, want 1 and 2", cmds[0].Result, cmds[1].Result)
	}
}
