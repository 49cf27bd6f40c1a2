// Package commandtest generates requests from the command table and compares
// the replies of two servers. Everything declared in the table is generated
// automatically. What a declaration does not say (the meaning of an argument's
// name, which arguments belong together) is added here by name.
//
// A sequence is determined by its seed. It is data: steps can be printed, rerun
// and left out.
//
// Few replies may differ, and rules.go defines how: replies without an order
// (the members of a set), random draws, and clock readings. After a step with a
// server-specific result, both servers are brought to the same state. Errors
// must always be identical.
package commandtest
