package progress

// The bounds on hedges: one in hedgeShare reads, and hedgeBurst of them at once. When
// all members are busy, asking one more of them makes it worse.
const (
	hedgeShare = 16
	hedgeBurst = 64
)

// Hedges is a lane's budget for asking more members than a quorum because the first
// are late. The zero Hedges is full.
type Hedges struct{ spent int }

// Read notes a read, which pays for a share of a hedge.
func (h *Hedges) Read() { h.spent = max(h.spent-1, 0) }

// Spend takes one hedge out of the budget, if there is one left.
func (h *Hedges) Spend() bool {
	if h.spent+hedgeShare > hedgeBurst*hedgeShare {
		return false
	}
	h.spent += hedgeShare
	return true
}

// Return gives one back, as it has turned out to be of use.
func (h *Hedges) Return() { h.spent = max(h.spent-hedgeShare, 0) }
