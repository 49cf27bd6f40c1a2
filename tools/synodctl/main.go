// Command synodctl lays out a Synod cluster and shows how it is.
package main

import "synod/tools/program"

// flags are synodctl's commands and the flags that they share.
type flags struct {
	program.Common
	program.Cluster
	Init   initCommand   `cmd:"" help:"Create the cluster: lay out its slots over the named nodes."`
	Status statusCommand `cmd:"" help:"Show nodes, proxies, groups, slots and epochs."`
}

const help = `Create a Synod cluster, or look at one, through the etcd that it uses.

Examples:

    synodctl init --nodes n1,n2,n3 --replicas 3
    synodctl status
    synodctl --etcd http://10.0.0.5:2379 --cluster shop status -o json`

func newProgram() program.Program {
	f := new(flags)
	return program.Program{Name: "synodctl", Help: help, Flags: f, Run: f.run}
}

func main() { newProgram().Main() }
