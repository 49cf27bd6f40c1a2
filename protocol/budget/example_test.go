package budget_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synod/protocol/budget"
)

// Two shares of one budget overlap: together they may want more than there is.
func Example() {
	memory := budget.New(100 << 20)
	requests, replies := memory.Share(80<<20), memory.Share(80<<20)

	fmt.Println(requests.Try(70 << 20))
	fmt.Println(replies.Try(70 << 20)) // fits the share, but not the budget

	requests.Release(70 << 20)
	fmt.Println(replies.Try(70 << 20))
	// Output:
	// true
	// false
	// true
}

// Acquire waits until there is room or its context ends. What can never fit is
// refused at once.
func ExampleShare_Acquire() {
	share := budget.New(100).Share(60)
	fmt.Println(errors.Is(share.Acquire(context.Background(), 61), budget.ErrTooLarge))

	share.Force(60)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	fmt.Println(errors.Is(share.Acquire(ctx, 1), budget.ErrNoRoom))
	// Output:
	// true
	// true
}
