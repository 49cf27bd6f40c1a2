// Package lru is a list of things in order of use, without memory of its own: each
// thing contains its Link.
package lru

// List has the thing used last in front. Init makes it ready for use.
type List[T any] struct {
	root  Link[T]
	count int
	bytes int
}

// Link is a thing's place in a List. The zero Link is in none.
type Link[T any] struct {
	prev, next *Link[T]
	what       T
	bytes      int
}

// In reports whether the thing is in a list.
func (k *Link[T]) In() bool { return k.next != nil }

// Init empties the list.
func (l *List[T]) Init() {
	l.root.prev, l.root.next = &l.root, &l.root
	l.count, l.bytes = 0, 0
}

// Len returns how many things are in the list.
func (l *List[T]) Len() int { return l.count }

// Bytes returns the memory that they take.
func (l *List[T]) Bytes() int { return l.bytes }

// Oldest returns the thing that was used least recently. The list must not be empty.
func (l *List[T]) Oldest() T { return l.root.prev.what }

// Push puts a thing in front that is in no list and takes that many bytes.
func (l *List[T]) Push(k *Link[T], what T, bytes int) {
	k.what, k.bytes = what, bytes
	k.prev, k.next = &l.root, l.root.next
	k.prev.next, k.next.prev = k, k
	l.count++
	l.bytes += bytes
}

// Remove takes a thing out, if it is in the list.
func (l *List[T]) Remove(k *Link[T]) {
	if !k.In() {
		return
	}
	k.prev.next, k.next.prev = k.next, k.prev
	k.prev, k.next = nil, nil
	l.count--
	l.bytes -= k.bytes
}
