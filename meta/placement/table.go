package placement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"synod/protocol/caspaxos/quorum"
	"synod/protocol/partition"
)

// Format is the version of the table's encoding that this package reads and
// writes.
const Format = 1

// ErrInvalid is wrapped by every error that Decode and Validate return.
var ErrInvalid = errors.New("invalid placement table")

// State says whether a range is moving between two configurations (§9).
type State string

// The states of a range.
const (
	// Stable: the group holds the range alone.
	Stable State = "STABLE"
	// Joint: every quorum is a majority of Group and a majority of Next.
	Joint State = "JOINT"
)

// Group is a set of nodes that hold the same slots.
type Group struct {
	ID string `json:"id"`
	// Nodes are the members' names, 1 to quorum.MaxMembers of them.
	Nodes []string `json:"nodes"`
}

// Range is a run of slots under one configuration.
type Range struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
	// Epoch numbers the range's configurations, from 1.
	Epoch uint64 `json:"epoch"`
	State State  `json:"state"`
	Group string `json:"group"`
	// Next is the group that the range moves to; set under JOINT only.
	Next string `json:"next,omitempty"`
	// Since has, for each member of Group and Next, the epoch in which its membership
	// began. A node whose last known epoch of a slot is older drops its data of the
	// slot.
	Since map[string]uint64 `json:"since"`
}

// Slots returns the number of slots in the range.
func (r *Range) Slots() int { return int(r.Last) - int(r.First) + 1 }

// Table is the placement of a whole cluster. It is immutable once made.
type Table struct {
	Format int     `json:"format"`
	Groups []Group `json:"groups"`
	// Ranges are in order of their slots and cover all of them.
	Ranges []Range `json:"ranges"`
}

// Lookup returns the range that contains slot.
func (t *Table) Lookup(slot uint16) *Range {
	i := sort.Search(len(t.Ranges), func(i int) bool { return t.Ranges[i].Last >= slot })
	return &t.Ranges[i]
}

// Members returns the names of a group's nodes, nil if there is no such group.
func (t *Table) Members(group string) []string {
	for i := range t.Groups {
		if t.Groups[i].ID == group {
			return t.Groups[i].Nodes
		}
	}
	return nil
}

// Older reports whether some slot is under an older epoch than in another table.
func (t *Table) Older(than *Table) bool {
	for slot := 0; slot < partition.Slots; {
		a, b := t.Lookup(uint16(slot)), than.Lookup(uint16(slot))
		if a.Epoch < b.Epoch {
			return true
		}
		slot = int(min(a.Last, b.Last)) + 1
	}
	return false
}

// Nodes returns the names of all nodes that the table mentions, sorted.
func (t *Table) Nodes() []string {
	var names []string
	for _, g := range t.Groups {
		names = append(names, g.Nodes...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// SlotsOf returns the number of slots that a node holds, is about to hold or
// is about to give up.
func (t *Table) SlotsOf(node string) int {
	n := 0
	for i := range t.Ranges {
		if _, ok := t.Ranges[i].Since[node]; ok {
			n += t.Ranges[i].Slots()
		}
	}
	return n
}

// Encode returns the table in the form that Decode reads. Equal tables have
// equal encodings.
func (t *Table) Encode() ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("encode placement: %w", err)
	}
	return json.Marshal(t)
}

// Decode reads and validates an encoded table. Unknown fields are an error: it would
// be unsafe to follow only part of a newer version's rules.
func Decode(data []byte) (*Table, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("decode placement: %w: %w", ErrInvalid, err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("decode placement: %w: format %d, this program knows %d", ErrInvalid, head.Format, Format)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	t := new(Table)
	if err := d.Decode(t); err != nil {
		return nil, fmt.Errorf("decode placement: %w: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("decode placement: %w: data after the table", ErrInvalid)
	}
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("decode placement: %w", err)
	}
	return t, nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Validate reports what is wrong with the table: every slot must stand in
// exactly one range, in order; groups must have 1 to quorum.MaxMembers
// distinct nodes and be used; epochs and memberships must agree with §9.
func (t *Table) Validate() error {
	if t.Format != Format {
		return invalid("format %d, this program knows %d", t.Format, Format)
	}
	groups, err := t.validGroups()
	if err != nil {
		return err
	}
	used := make(map[string]bool)
	next := 0
	for i := range t.Ranges {
		r := &t.Ranges[i]
		if int(r.First) != next || r.Last < r.First || r.Last >= Slots {
			return invalid("range %d-%d where slot %d should begin", r.First, r.Last, next)
		}
		next = int(r.Last) + 1
		if err := r.validate(groups); err != nil {
			return err
		}
		used[r.Group], used[r.Next] = true, true
	}
	if next != Slots {
		return invalid("slots from %d on are in no range", next)
	}
	for id := range groups {
		if !used[id] {
			return invalid("group %s holds no slot", id)
		}
	}
	return nil
}

func (t *Table) validGroups() (map[string][]string, error) {
	groups := make(map[string][]string, len(t.Groups))
	for _, g := range t.Groups {
		if err := CheckName(g.ID); err != nil {
			return nil, invalid("group: %v", err)
		}
		if groups[g.ID] != nil {
			return nil, invalid("group %s stands twice", g.ID)
		}
		if len(g.Nodes) < 1 || len(g.Nodes) > quorum.MaxMembers {
			return nil, invalid("group %s has %d nodes, not 1 to %d", g.ID, len(g.Nodes), quorum.MaxMembers)
		}
		for i, n := range g.Nodes {
			if err := CheckName(n); err != nil {
				return nil, invalid("group %s: node: %v", g.ID, err)
			}
			if slices.Contains(g.Nodes[:i], n) {
				return nil, invalid("group %s has node %s twice", g.ID, n)
			}
		}
		groups[g.ID] = g.Nodes
	}
	return groups, nil
}

func (r *Range) validate(groups map[string][]string) error {
	if r.Epoch < 1 {
		return invalid("range %d-%d: epochs start at 1", r.First, r.Last)
	}
	if groups[r.Group] == nil {
		return invalid("range %d-%d: no group %q", r.First, r.Last, r.Group)
	}
	members := groups[r.Group]
	switch r.State {
	case Stable:
		if r.Next != "" {
			return invalid("range %d-%d: STABLE with a next group", r.First, r.Last)
		}
	case Joint:
		if groups[r.Next] == nil || r.Next == r.Group {
			return invalid("range %d-%d: JOINT with next group %q", r.First, r.Last, r.Next)
		}
		members = slices.Concat(members, groups[r.Next])
		slices.Sort(members)
		members = slices.Compact(members)
	default:
		return invalid("range %d-%d: state %q", r.First, r.Last, r.State)
	}
	if len(members) > quorum.MaxMembers {
		return invalid("range %d-%d: %d members, more than %d", r.First, r.Last, len(members), quorum.MaxMembers)
	}
	if len(r.Since) != len(members) {
		return invalid("range %d-%d: %d memberships for %d members", r.First, r.Last, len(r.Since), len(members))
	}
	for _, m := range members {
		if since := r.Since[m]; since < 1 || since > r.Epoch {
			return invalid("range %d-%d: membership of %s begins in epoch %d of %d", r.First, r.Last, m, since, r.Epoch)
		}
	}
	return nil
}

// maxName bounds names, in bytes.
const maxName = 64

// CheckName reports what is wrong with the name of a node, a group or a
// cluster: names are 1 to 64 letters, digits, '-', '_' and '.', the first of
// them a letter or digit, so that they need no quoting anywhere.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("name %q: 1 to %d characters are allowed", name, maxName)
	}
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '-' && c != '_' && c != '.') {
			return fmt.Errorf("name %q: letters, digits, '-', '_' and '.' are allowed, beginning with a letter or digit", name)
		}
	}
	return nil
}
