package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"synod/tools/migrate"
)

// display shows the progress of a copy: as a bar on a terminal, otherwise as a
// line from time to time.
type display struct {
	mu   sync.Mutex // notes come from several goroutines
	out  io.Writer
	last time.Time // of the last line

	// On a terminal.
	bar     progress.Writer
	tracker *progress.Tracker
	drawn   chan struct{} // closed when drawing has ended
}

// lineEvery is the time between two lines.
const lineEvery = 5 * time.Second

func newDisplay(out io.Writer) *display {
	d := &display{out: out, last: time.Now()}
	f, ok := out.(*os.File)
	if !ok {
		return d
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return d
	}
	d.bar, d.drawn = progress.NewWriter(), make(chan struct{})
	d.bar.SetOutputWriter(out)
	d.bar.SetAutoStop(false)
	d.bar.SetUpdateFrequency(200 * time.Millisecond)
	d.bar.SetTrackerLength(30)
	d.bar.Style().Visibility.Speed = true
	go func() {
		d.bar.Render()
		close(d.drawn)
	}()
	return d
}

// report shows the progress.
func (d *display) report(p migrate.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar == nil {
		if now := time.Now(); now.Sub(d.last) >= lineEvery {
			d.last = now
			_, _ = fmt.Fprintln(d.out, line(p))
		}
		return
	}
	if d.tracker == nil {
		units := progress.UnitsDefault
		if p.Bytes {
			units = progress.UnitsBytes
		}
		d.tracker = &progress.Tracker{Message: "copying", Units: units}
		d.bar.AppendTracker(d.tracker)
	}
	d.tracker.UpdateTotal(max(p.Total, p.Done))
	d.tracker.SetValue(p.Done)
	d.tracker.UpdateMessage(fmt.Sprintf("%d keys copied, %d failed", p.Tally.Copied, p.Tally.Failed))
}

// line formats a report as a line.
func line(p migrate.Progress) string {
	unit := "keys"
	if p.Bytes {
		unit = "bytes"
	}
	percent := ""
	if p.Total > 0 {
		percent = fmt.Sprintf(" (%d%%)", min(100*p.Done/p.Total, 100))
	}
	return fmt.Sprintf("%d of about %d %s%s: copied %d, failed %d", p.Done, max(p.Total, p.Done), unit, percent, p.Tally.Copied, p.Tally.Failed)
}

// note shows a message.
func (d *display) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		d.bar.Log("%s", text)
		return
	}
	_, _ = fmt.Fprintln(d.out, text)
}

// close ends the display; done says that the copy is complete.
func (d *display) close(done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar == nil {
		return
	}
	if d.tracker != nil {
		if done {
			d.tracker.MarkAsDone()
		} else {
			d.tracker.MarkAsErrored()
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for { // it does not stop what has not begun yet
		d.bar.Stop()
		select {
		case <-d.drawn:
			return
		case <-tick.C:
		}
	}
}
