// Package clients runs small real programs, written for the client libraries
// that applications have, against a real cluster: a Go program with go-redis, a
// Python program with redis-py and a JavaScript program with node-redis. Each
// uses what applications use (pools, pipelines, all data types, iterators,
// consumer groups, errors, binary and big values, what the library says on
// connecting) and checks every answer.
//
// Where an interpreter or a library is missing its test is skipped; in CI it
// fails.
package clients
