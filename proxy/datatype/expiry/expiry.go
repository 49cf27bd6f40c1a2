// Package expiry parses the expiry times of commands: seconds or milliseconds,
// relative to now or since 1970, within Redis's limits.
package expiry

import (
	"math"

	"synod/protocol/resp"
	"synod/proxy/datatype/number"
)

// Unit is the unit of a time, in milliseconds.
type Unit int64

// The units.
const (
	Milliseconds Unit = 1
	Seconds      Unit = 1000
)

// Base is the start from which a time counts.
type Base uint8

// The bases: now, or 1970.
const (
	Relative Base = iota + 1
	Absolute
)

// Time is an expiry as given to a command. The zero Time means none.
type Time struct {
	ms      int64
	base    Base
	command string // for the error
}

// Invalid is the error for a time out of range.
func Invalid(command string) *resp.Value {
	return resp.Err("ERR invalid expire time in '" + command + "' command")
}

// Parse reads the time in arg. command is the full name in lower case.
func Parse(arg []byte, unit Unit, base Base, command string) (Time, *resp.Value) {
	n, ok := number.ParseInt(arg)
	if !ok {
		return Time{}, resp.ErrNotInteger
	}
	if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
		return Time{}, Invalid(command)
	}
	return Time{ms: n * int64(unit), base: base, command: command}, nil
}

// ParsePositive is Parse for commands that reject times in the past.
func ParsePositive(arg []byte, unit Unit, base Base, command string) (Time, *resp.Value) {
	t, err := Parse(arg, unit, base, command)
	if err == nil && t.ms <= 0 {
		return Time{}, Invalid(command)
	}
	return t, err
}

// MayOverflow reports whether At might return an error.
func (t Time) MayOverflow() bool {
	const latestNow = 1 << 52 // Unix milliseconds, in some 140,000 years
	return t.base == Relative && t.ms > math.MaxInt64-latestNow
}

// At returns the time in Unix milliseconds, given the current time now; 0 if t
// is none. The value has expired if the result is not after now.
func (t Time) At(now int64) (int64, *resp.Value) {
	switch {
	case t.base != Relative:
		return t.ms, nil
	case t.ms > math.MaxInt64-now:
		return 0, Invalid(t.command)
	}
	return t.ms + now, nil
}
