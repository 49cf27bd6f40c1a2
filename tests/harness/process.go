package harness

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside the test and ends with it.
type Process struct {
	Name string

	t      testing.TB
	cmd    *exec.Cmd
	stdout transcript
	stderr transcript
	done   chan struct{} // closed when the process has ended
}

// Start starts a program. Its output is shown if the test fails.
func Start(t testing.TB, name, path string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: name, t: t, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// If the test process dies, the kernel kills this one.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	t.Cleanup(p.cleanup)
	return p
}

func (p *Process) cleanup() {
	p.Kill()
	if strings.Contains(p.Stderr(), "WARNING: DATA RACE") { // if built with -race
		p.t.Errorf("%s: the race detector has found something", p.Name)
	}
	if p.t.Failed() {
		p.t.Logf("%s %s\n%s", p.Name, p.cmd.ProcessState, indent(p.stdout.tail(4<<10)+p.stderr.tail(12<<10)))
	}
}

// Kill ends the process at once (SIGKILL), frozen or not, and waits for that.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Freeze stops the process from running (SIGSTOP) until Thaw.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

// Terminate asks the process to end (SIGTERM).
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

func (p *Process) signal(s os.Signal) {
	select {
	case <-p.done: // gone; its process id may have been reused
	default:
		_ = p.cmd.Process.Signal(s) // fails if it ends this moment, which is fine
	}
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the process to end by itself and returns its exit status; -1
// if a signal ended it.
func (p *Process) Wait() int {
	p.t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-timer.C:
		p.signal(syscall.SIGQUIT) // a Go program prints its goroutines
		p.t.Fatalf("%s has not ended", p.Name)
		return -1
	}
}

// Stdout returns what the process has written to standard output.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns what the process has written to standard error.
func (p *Process) Stderr() string { return p.stderr.String() }

// CPU returns the processor time that the process took. It must have ended.
func (p *Process) CPU() time.Duration {
	<-p.done
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// AwaitOutput waits until the process has written the text to standard error
// or standard output.
func (p *Process) AwaitOutput(text string) {
	p.t.Helper()
	if !Poll(Patience, func() bool {
		return strings.Contains(p.Stderr(), text) || strings.Contains(p.Stdout(), text) || !p.Running()
	}) || !p.Running() && !strings.Contains(p.Stderr()+p.Stdout(), text) {
		p.t.Fatalf("%s has not said %q", p.Name, text)
	}
}

// transcript is a buffer for concurrent reads and writes. If it is full, it
// keeps the beginning.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
	cut int
}

const transcriptBytes = 16 << 20

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len()+len(b) > transcriptBytes {
		t.cut += len(b)
		return len(b), nil
	}
	return t.buf.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

func (t *transcript) tail(n int) string {
	s := t.String()
	if len(s) > n {
		s = "…" + s[len(s)-n:]
	}
	return s
}

func indent(s string) string {
	if s == "" {
		return "    (no output)"
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ")
}

// Run runs a program to its end and returns its exit status and output.
func Run(t testing.TB, path string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := Start(t, path[strings.LastIndexByte(path, '/')+1:], path, args...)
	status = p.Wait()
	return status, p.Stdout(), p.Stderr()
}
