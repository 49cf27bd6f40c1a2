package harness

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }
