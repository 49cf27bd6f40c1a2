package session

import (
	"errors"

	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/command"
)

// result returns the reply of a call that is done.
func (c *call) result() *resp.Value {
	switch {
	case c.reply != nil:
		return c.reply
	case c.split == nil:
		if c.cmd.Err != nil {
			return Failure(c.cmd.Err)
		}
		return c.cmd.Result.(*resp.Value)
	}
	if failure := c.partFailure(); failure != nil {
		return failure
	}
	return c.split.Combine(results(c.parts))
}

// partFailure returns the error reply if a part of a split command failed. If
// another part was done, or may have been, the reply must not say that nothing was.
func (c *call) partFailure() *resp.Value {
	var failure error
	done := false
	for i := range c.parts {
		switch err := c.parts[i].Err; {
		case err == nil:
			done = true
		case failure == nil || errors.Is(err, operation.ErrUncertain):
			failure = err
		}
	}
	switch {
	case failure == nil:
		return nil
	case done && !c.command.Spec.Has(command.ReadOnly):
		return resp.ErrUncertain
	}
	return Failure(failure)
}

var (
	errNoAuth     = resp.Err("NOAUTH Authentication required.")
	errOverloaded = resp.Err("TRYAGAIN nothing was done: too many commands are waiting")
	errNoRoom     = resp.Err("OOM nothing was done: what the command reads is more than the memory that the proxy has for it at present (--memory-limit)")
	errNodesBusy  = resp.Err("OOM nothing was done: the command is more than the nodes have memory for at present (--memory-limit)")
)

// Failure returns the error reply for the error of a Backend.
func Failure(err error) *resp.Value {
	var outage *operation.Outage
	switch {
	case errors.As(err, &outage):
		return resp.Err("CLUSTERDOWN nothing was done: " + outage.Reason)
	case errors.Is(err, operation.ErrNoQuorum):
		return resp.ErrClusterDown
	case errors.Is(err, operation.ErrContention):
		return resp.ErrTryAgain
	case errors.Is(err, operation.ErrOverloaded):
		return errOverloaded
	case errors.Is(err, operation.ErrNoRoom):
		return errNoRoom
	case errors.Is(err, operation.ErrBusy):
		return errNodesBusy
	case errors.Is(err, operation.ErrDiskFull):
		return resp.ErrDisksFull
	}
	return resp.ErrUncertain
}
