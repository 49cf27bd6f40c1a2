package element

import "synod/protocol/register"

// Scan returns about count members from a cursor on, and the cursor to go on
// from, zero at the end. Every member that is there during a whole walk is
// returned, some perhaps twice. If the view does not have what it takes, need
// says what is missing, and nothing else counts.
func Scan(v register.View, prefix string, cursor uint64, count int) (elems []register.Element, next uint64, need *register.Projection) {
	if cursor >= 1<<(8*hashBytes) {
		return nil, 0, nil
	}
	for limit := count + 1; ; limit *= 2 {
		r := from(prefix, cursor, limit)
		elems, ok := v.Range(r)
		if !ok {
			return nil, 0, &register.Projection{Ranges: []register.Range{r}}
		}
		if len(elems) < limit {
			return elems, 0, nil
		}
		// The last one is where the next page begins. If its hash is that of
		// the first, that would be here.
		next := hashOf(prefix, elems[len(elems)-1].Key)
		if next != hashOf(prefix, elems[0].Key) {
			return elems[:len(elems)-1], next, nil
		}
	}
}
