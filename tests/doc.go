// Package tests holds, in the packages below it, what needs more than one
// package of Synod to test: simulation, comparison with a real Redis, processes
// that are killed and frozen, architecture rules, benchmarks.
package tests
