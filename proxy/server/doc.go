// Package server accepts Redis clients and answers the commands about the server:
// INFO, CONFIG, SCAN, FLUSHALL and the like. Sessions run everything else.
//
// Replies and error texts are Redis's, to the letter. INFO, CONFIG and CLIENT
// concern this proxy alone. The package does no consensus, and no I/O but that
// with its clients.
package server
