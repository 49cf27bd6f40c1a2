package progress

import "slices"

// FetchQueue holds back extra reads of states from one node while enough of them are
// under way.
type FetchQueue[T any] struct {
	count   int
	waiting []T // oldest first; some may not be needed any more
}

// Full reports whether most reads are under way.
func (f *FetchQueue[T]) Full(most int) bool { return f.count >= most }

// Sent notes a read that goes out.
func (f *FetchQueue[T]) Sent() { f.count++ }

// Wait puts a read into the queue. void reports which are not needed any more.
func (f *FetchQueue[T]) Wait(read T, void func(T) bool) {
	if len(f.waiting) == cap(f.waiting) {
		f.waiting = slices.DeleteFunc(f.waiting, void)
	}
	f.waiting = append(f.waiting, read)
}

// Ended notes that a read has ended.
func (f *FetchQueue[T]) Ended() { f.count-- }

// Next takes out the read that waits longest, if fewer than most are under way.
func (f *FetchQueue[T]) Next(most int) (read T, ok bool) {
	if len(f.waiting) == 0 || f.count >= most {
		return read, false
	}
	var none T
	read, f.waiting[0] = f.waiting[0], none
	f.waiting = f.waiting[1:]
	return read, true
}
