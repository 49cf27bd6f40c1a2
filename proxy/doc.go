// Package proxy joins the parts of a Synod proxy: the cluster, the server for
// Redis clients and the admin server. Start starts them all.
//
//	server   accepts clients, INFO, CONFIG and the other commands about the server
//	session  one client's connection: batches of commands and their replies
//	respio   reading requests and writing replies, in bounded memory
//	stats    counters
//	cluster  all storage nodes as one place to run commands
package proxy
