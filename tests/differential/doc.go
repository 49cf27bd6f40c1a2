// Package differential compares Synod with a real Redis: the same random
// command sequences go to both, over RESP2 and RESP3, one at a time and
// pipelined, and the replies must be equal byte for byte.
//
// A sequence is data: it follows from a seed, can be printed, run again and
// minimised by leaving steps out. Requests come from the command table (so that
// a command added to the table is compared without anybody's doing) and from
// generators that know what is delicate about a command.
//
// Few replies may differ, and how is said in one place (compare.go): what the
// servers make up (client ids), what has no order (KEYS), what is measured
// against a clock (TTL). Errors are always compared to the letter.
//
//	go test ./differential -run TestSame -seed 7 -commands 100000
//	go test ./differential -run TestSame -target 127.0.0.1:6379
package differential
