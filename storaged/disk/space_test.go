package disk

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// The space that was reserved is for the write that has failed: it is not reserved
// again before that is retried, even if the file system says that much is free.
func TestBallastWaitsForTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Real()
		d.Free = func(string) (int64, error) { return 1 << 40, nil }
		s := NewSpace(t.TempDir(), &d, 1<<20, zap.NewNop())
		there := func() bool {
			s.Look()
			s.TakeBallast()
			_, err := os.Stat(s.BallastPath())
			return err == nil
		}
		if !there() {
			t.Fatal("no ballast on an empty disk")
		}
		for range 3 {
			s.Exhausted()
			time.Sleep(fullFor - 1)
			if there() {
				t.Fatal("reserved again while writes fail")
			}
		}
		time.Sleep(time.Nanosecond)
		if !there() {
			t.Error("not reserved again")
		}
	})
}
