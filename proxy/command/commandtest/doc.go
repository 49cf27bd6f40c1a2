// Package commandtest makes up requests out of the command table and compares
// the replies of two servers to them. What is declared in the table is
// generated without anybody's doing; what a declaration does not tell (which
// word an argument's name stands for, which arguments go together) is added
// here by name.
//
// A sequence follows from its seed alone. It is data: steps can be printed, run
// again and left out.
//
// Few replies may differ, and how is said in one place (rules.go): what has no
// order (the members of a set), what is drawn at random, what is measured
// against a clock. After a step whose outcome is a server's own choice both are
// brought to the same state. Errors are always compared to the letter.
package commandtest
