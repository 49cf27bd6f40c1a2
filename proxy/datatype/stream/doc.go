// Package stream has the commands on whole streams and on their consumer groups, as
// pure functions from a register's state to a change and a reply. Package entry has
// those on entries alone.
//
// # Layout
//
// The header's Size is the number of entries, its Aux the rest of what XADD needs
// (see entry.Meta). The elements, by the first byte of their key:
//
//	e ID                        an entry: its fields and values
//	n ID                        a node that begins with that entry
//	g group                     a consumer group
//	c len group consumer        a consumer
//	p len group ID              an entry that was delivered and not acknowledged
//	q len group len consumer ID the same, by consumer; no value
//
// An ID takes 16 bytes, big-endian; a length is a uvarint. So entries, pending
// entries and names are in the order in which Redis lists them, and every read
// of a command is one element or one range. Redis gets some counters from the
// sizes of its trees; here they are stored with the group and the consumer.
//
// A stream without entries still exists.
package stream

import "synod/proxy/datatype/stream/entry"

// ID names an entry.
type ID = entry.ID
