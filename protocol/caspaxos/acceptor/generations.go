package acceptor

import (
	"time"

	"synod/protocol/caspaxos/instant"
)

// generations is a memory by register that forgets a value some time after it was
// noted: values go to the young map, which becomes the old one and then is dropped.
type generations[V any] struct {
	young, old map[string]V
	turned     instant.Mono
}

// put notes a value in place of the young one, unless there are too many registers.
func (g *generations[V]) put(key string, v V, most int) {
	if g.young == nil {
		g.young = make(map[string]V)
	}
	if len(g.young) < most {
		g.young[key] = v
	}
}

// turn forgets what is older than age, twice that at the latest.
func (g *generations[V]) turn(now instant.Mono, age time.Duration) {
	if time.Duration(now-g.turned) >= age {
		g.young, g.old, g.turned = nil, g.young, now
	}
}
