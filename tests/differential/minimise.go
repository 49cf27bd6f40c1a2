package differential

import "slices"

// Minimise returns a shorter sequence on which the servers still differ, and
// how they do: steps are left out, in large pieces first, as long as a
// difference remains. It runs the sequence at most budget times.
func (p *Pair) Minimise(steps []Step, m *Mismatch, budget int) ([]Step, *Mismatch) {
	steps = slices.Clone(steps[:m.Index+1])
	for piece := len(steps) / 2; piece >= 1; piece /= 2 {
		for at := 0; at < len(steps) && budget > 0; budget-- {
			fewer := slices.Delete(slices.Clone(steps), at, min(at+piece, len(steps)))
			if again, err := p.Run(fewer); err == nil && again != nil {
				steps, m = fewer[:again.Index+1], again
			} else {
				at += piece
			}
		}
	}
	return steps, m
}
