// Command synodctl sets up a Synod cluster, shows its status, and copies data
// into and out of it.
package main

import "synod/tools/program"

// flags has synodctl's commands and their shared flags.
type flags struct {
	program.Common
	program.Cluster
	Init   initCommand   `cmd:"" help:"Create the cluster: lay out its slots over the named nodes."`
	Status statusCommand `cmd:"" help:"Show nodes, proxies, groups, slots and epochs."`
	Rotate rotateCommand `cmd:"" name:"rotate-secret" help:"Replace the secret by which the cluster's processes know each other."`
	Import importCommand `cmd:"" help:"Copy a running Redis, or an RDB file, into the cluster."`
	Export exportCommand `cmd:"" help:"Copy the cluster's data into a running Redis, or an RDB file."`
}

const help = `Create a Synod cluster, or look at one, through the etcd that it uses. Copy data into it and out of it, through a proxy.

Examples:

    synodctl init --nodes n1,n2,n3 --replicas 3
    synodctl status
    synodctl --etcd http://10.0.0.5:2379 --cluster shop status -o json
    synodctl import --from redis.example:6379 --to 127.0.0.1:6379 --state import.state
    synodctl export --to-file dump.rdb`

func newProgram() program.Program {
	f := new(flags)
	return program.Program{Name: "synodctl", Help: help, Flags: f, Run: f.run}
}

func main() { newProgram().Main() }
