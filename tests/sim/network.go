package sim

import "synod/protocol/caspaxos"

// network is the network and the disks of a Script: everything waits until the
// script lets it happen.
type network struct{}

func (*network) request(*proxy, *node, *caspaxos.Request, func()) {}
func (*network) reply(*node, *proxy, func())                      {}
func (*network) pending(*node, string, func())                    {}
