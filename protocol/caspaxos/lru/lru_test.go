package lru_test

import (
	"testing"

	"synod/protocol/caspaxos/lru"
)

func TestOldestIsUsedLeastRecently(t *testing.T) {
	var l lru.List[string]
	l.Init()
	links := map[string]*lru.Link[string]{"a": {}, "b": {}, "c": {}}
	for _, name := range []string{"a", "b", "c"} {
		l.Push(links[name], name, 10)
	}
	l.Remove(links["a"])
	l.Remove(links["a"]) // not in the list any more
	l.Push(links["a"], "a", 5)
	if l.Oldest() != "b" || l.Len() != 3 || l.Bytes() != 25 {
		t.Errorf("oldest %s of %d, %d bytes", l.Oldest(), l.Len(), l.Bytes())
	}
	for _, k := range links {
		l.Remove(k)
	}
	if l.Len() != 0 || l.Bytes() != 0 || links["c"].In() {
		t.Errorf("%d, %d bytes are left", l.Len(), l.Bytes())
	}
}
