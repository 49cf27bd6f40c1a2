// Package differential compares Synod with a real Redis: the same random
// command sequences go to both, over RESP2 and RESP3, one at a time and
// pipelined, and the replies must be equal byte for byte.
//
// Requests, and the rules of how replies to them may differ, are those of
// proxy/command/commandtest, which compares the table's functions alone in the
// same way. Added here is what only connections have: several of them, to
// several proxies, with databases and protocol versions of their own; pipelines;
// bytes that are no request.
//
//	go test ./differential -run TestSame -seed 7 -commands 100000
//	go test ./differential -run TestSame -target 127.0.0.1:6379
package differential
