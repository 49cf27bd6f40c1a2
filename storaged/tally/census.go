package tally

import (
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// Standing is what a register counts for: zero if it is not live, else one more
// than its expiry in Unix milliseconds, which is zero if it has none.
type Standing int64

// longest bounds the expiries that are summed up: the sum of those of a slot
// must not overflow.
const longest = 1 << 44

// StandingOf returns what a register of a type and an expiry counts for.
func StandingOf(kind register.Type, expiry int64) Standing {
	if kind == register.Absent {
		return 0
	}
	return Standing(1 + min(max(expiry, 0), longest))
}

// tally counts the live registers of one slot in one name space. Sums wrap
// around, so that a removal may come before its addition.
type tally struct {
	keys, expiring   uint32
	expiries, digest uint64
}

func (t *tally) add(s Standing, hash uint64) {
	if s == 0 {
		return
	}
	t.keys++
	t.digest += hash
	if s > 1 {
		t.expiring++
		t.expiries += uint64(s - 1)
	}
}

func (t *tally) remove(s Standing, hash uint64) {
	if s == 0 {
		return
	}
	t.keys--
	t.digest -= hash
	if s > 1 {
		t.expiring--
		t.expiries -= uint64(s - 1)
	}
}

func (t *tally) plus(u *tally) {
	t.keys += u.keys
	t.expiring += u.expiring
	t.expiries += u.expiries
	t.digest += u.digest
}

// Census is the tallies of one lane's databases. What is nil is empty.
type Census [partition.Databases]*[partition.Slots]tally

// at returns the tally of a slot, made if need be.
func (c *Census) at(db byte, slot uint16) *tally {
	if c[db] == nil {
		c[db] = new([partition.Slots]tally)
	}
	return &c[db][slot%partition.Slots]
}

// Move notes that a register counts for something else.
func (c *Census) Move(r register.ID, from, to Standing) {
	t, hash := c.at(r.Key[0], r.Slot), partition.Hash(r.Key)
	t.remove(from, hash)
	t.add(to, hash)
}

// clear empties a range of slots.
func (c *Census) clear(db byte, first, last uint16) {
	if c[db] != nil {
		clear(c[db][first : int(last)+1])
	}
}

// mean returns the mean expiry of what has one.
func (t *tally) mean() int64 {
	if t.expiring == 0 {
		return 0
	}
	return int64(t.expiries / uint64(t.expiring))
}

// told is the tally as messages have it.
func (t *tally) told() listing.Tally {
	return listing.Tally{Keys: uint64(t.keys), Digest: t.digest, Expiring: uint64(t.expiring), Expiry: t.mean()}
}
