package caspaxos

import "time"

// generations is a memory by register of what is forgotten some time after it was
// noted: what is noted goes to the young, which grow old and then are gone.
type generations[V any] struct {
	young, old map[string]V
	turned     Mono
}

// put notes something in place of what the young have, unless there are too many
// registers.
func (g *generations[V]) put(key string, v V, most int) {
	if g.young == nil {
		g.young = make(map[string]V)
	}
	if len(g.young) < most {
		g.young[key] = v
	}
}

// turn forgets what is older than age, twice that at the latest.
func (g *generations[V]) turn(now Mono, age time.Duration) {
	if time.Duration(now-g.turned) >= age {
		g.young, g.old, g.turned = nil, g.young, now
	}
}
