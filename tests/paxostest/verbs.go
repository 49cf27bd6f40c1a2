package paxostest

import (
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"synod/protocol/caspaxos/diskroom"
	"synod/tests/sim"
)

// cluster [nodes=3] [proxies=4] [registers=1] [entries=N] [large=N]: begins. No
// more than so many entries are kept in a register's lists; states of more than
// large bytes are sent in chunks.
func (e *Env) cluster(a *arguments) {
	p := sim.Scripted(a.int("nodes", 3), a.int("proxies", 4))
	p.Regs = a.int("registers", 1)
	p.Limits.Entries = a.int("entries", p.Limits.Entries)
	p.Limits.VotedState = a.int("large", p.Limits.VotedState)
	p.Omit = e.Omit
	e.script, e.names = sim.NewScript(p), make(map[string]command)
	e.say("%d nodes, %d proxies", p.Acceptors, p.Proxies)
}

// between is how long after what was before a command begins, so that ballots
// differ.
const between = 2 * time.Millisecond

// begin P0 APPEND k0.a [as=name] [client=1] [in=60ms] [now]: a proxy begins a
// command, 2 ms later unless it is to be now. A client's commands take effect in
// order.
func (e *Env) begin(a *arguments) {
	if !a.flag("now") {
		e.script.Pass(between)
	}
	proxy := a.proxy()
	e.start(proxy, a)
}

// start takes what is left of begin and run.
func (e *Env) start(proxy int, a *arguments) command {
	name, client := a.value("as"), a.int("client", 0)
	op := a.op()
	if in := a.value("in"); in != "" {
		op.Expiry = e.script.ExpiresIn(duration(in))
	}
	c := command{e.script.Begin(client, proxy, op), proxy}
	if name != "" {
		e.names[name] = c
	}
	return c
}

// run P0 APPEND k0.a on=(x0,x1): begins a command and has these nodes answer at
// once until it has ended. What is sent to others stays under way.
func (e *Env) run(a *arguments) {
	proxy, nodes := a.proxy(), a.nodes("on")
	e.script.Prefer(proxy, nodes...)
	e.script.Pass(between)
	c := e.start(proxy, a)
	e.script.Finish(c.id, proxy, nodes...)
}

// named returns the command that was begun under the name which is next.
func (e *Env) named(name string) command {
	c, ok := e.names[name]
	if !ok {
		bad("nothing was begun as %q", name)
	}
	return c
}

// finish name on=(x0,x1): has these nodes answer at once until the command has
// ended.
func (e *Env) finish(a *arguments) {
	c := e.named(a.word())
	e.script.Finish(c.id, c.proxy, a.nodes("on")...)
}

// retry P0 on=(x0,x1): all that is under way from and to the proxy is lost; when
// it tries again, these nodes answer at once.
func (e *Env) retry(a *arguments) { e.script.Retry(a.proxy(), a.nodes("on")...) }

// prefer P0 nodes=(x1,x2): the proxy asks these first.
func (e *Env) prefer(a *arguments) { e.script.Prefer(a.proxy(), a.nodes("nodes")...) }

// deliver P0 to=(x0,x1) [register=k0]: delivers what is under way from a proxy.
func (e *Env) deliver(a *arguments) {
	proxy, reg := a.proxy(), -1
	if name := a.value("register"); name != "" {
		reg = numbered("k", name)
	}
	e.script.Deliver(proxy, reg, a.nodes("to")...)
}

// reply P0 from=(x0,x1): delivers the replies that are under way to a proxy.
func (e *Env) reply(a *arguments) { e.script.Reply(a.proxy(), a.nodes("from")...) }

// round-trip P0 with=(x0,x1): delivers what is under way from a proxy, then the
// replies.
func (e *Env) roundTrip(a *arguments) { e.script.RoundTrip(a.proxy(), a.nodes("with")...) }

// lose P0 [with=(x0,x1)]: loses what is under way from and to a proxy.
func (e *Env) lose(a *arguments) {
	proxy, nodes := a.proxy(), a.nodes("with")
	if nodes == nil {
		nodes = e.script.AllNodes()
	}
	e.script.Lose(proxy, nodes...)
}

// delay P0 to=x0 as=name: takes the Accept to a node off the network.
func (e *Env) delay(a *arguments) { e.script.Delay(a.value("as"), a.proxy(), a.node("to")) }

// deliver-late name: delivers what was delayed, each time that it is said.
func (e *Env) deliverLate(a *arguments) {
	if name := a.word(); !e.script.DeliverLate(name) {
		bad("nothing was delayed as %q", name)
	}
}

// gossip P0 to=x2: a peer delivers the Accept that is also under way.
func (e *Env) gossip(a *arguments) { e.script.Gossip(a.proxy(), a.node("to")) }

// forge-read epoch=N to=(x0,x1): somebody sends a Read of k0.
func (e *Env) forgeRead(a *arguments) {
	epoch, err := strconv.ParseUint(a.value("epoch"), 10, 64)
	if err != nil {
		bad("%v", err)
	}
	e.script.ForgeRead(epoch, a.nodes("to")...)
}

// copy from=x0 to=(x3,x4): copies k0 to new members.
func (e *Env) copy(a *arguments) { e.script.Copy(a.node("from"), a.nodes("to")...) }

// tick 5ms: time passes.
func (e *Env) tick(a *arguments) { e.script.Pass(duration(a.word())) }

// await P0: time passes until the proxy sends something.
func (e *Env) await(a *arguments) { e.script.AwaitRequest(a.proxy()) }

// silence P0 for=300ms: time passes while all that a proxy sends is lost.
func (e *Env) silence(a *arguments) { e.script.Silence(a.proxy(), a.duration("for")) }

// clock P0 at=12ms: a proxy's clock shows a time, as in ballots. clock P0
// at-ceiling-of=x0: it shows the ceiling of a node. clock P0 ahead=10ms, clock x0
// ahead=10ms: a clock is wrong by so much.
func (e *Env) clock(a *arguments) {
	who := a.word()
	at, ceiling := a.value("at"), a.value("at-ceiling-of")
	switch {
	case ceiling != "":
		e.script.ProxyClock(numbered("P", who), e.script.Ceiling(numbered("x", ceiling)))
	case at != "":
		e.script.ProxyClock(numbered("P", who), duration(at))
	case strings.HasPrefix(who, "x"):
		e.script.ShiftNodeClock(numbered("x", who), a.duration("ahead"))
	default:
		e.script.ShiftProxyClock(numbered("P", who), a.duration("ahead"))
	}
}

// hold-sync x0 x1: these disks do not sync any more.
func (e *Env) holdSync(a *arguments) {
	for _, name := range a.words() {
		e.script.HoldDisk(numbered("x", name))
	}
}

// sync x0 x1: these disks sync again.
func (e *Env) sync(a *arguments) {
	for _, name := range a.words() {
		e.script.ReleaseDisk(numbered("x", name))
	}
}

// crash x0 x1: these nodes lose what is not on their disks. They, and their
// clients, notice nothing of what happens until restart.
func (e *Env) crash(a *arguments) {
	for _, name := range a.words() {
		e.script.Crash(numbered("x", name))
	}
}

// restart x0 P1: nodes come up again; a proxy crashes and comes back with another
// id, and what is under way from and to it is lost.
func (e *Env) restart(a *arguments) {
	for _, name := range a.words() {
		if strings.HasPrefix(name, "P") {
			e.script.RestartProxy(numbered("P", name))
		} else {
			e.script.Restart(numbered("x", name))
		}
	}
}

// take-id P1 of=P0: a proxy crashes and comes back with the id of another.
func (e *Env) takeID(a *arguments) { e.script.TakeIDOf(a.proxy(), numbered("P", a.value("of"))) }

// disconnect P0 from=(x2): the proxy cannot begin a session, until the end.
func (e *Env) disconnect(a *arguments) { e.script.Disconnect(a.proxy(), a.nodes("from")...) }

var rooms = map[string]diskroom.Room{"enough": diskroom.RoomEnough, "low": diskroom.RoomLow,
	"scarce": diskroom.RoomScarce, "none": diskroom.RoomNone}

// room low x0 x1: how much room these disks have.
func (e *Env) room(a *arguments) {
	name := a.word()
	room, ok := rooms[name]
	if !ok {
		bad("there is no room %q", name)
	}
	for _, name := range a.words() {
		e.script.SetRoom(numbered("x", name), room)
	}
}

// purge-tombstone k0: all nodes forget it, as they all have it.
func (e *Env) purgeTombstone(a *arguments) { e.script.PurgeTombstone(numbered("k", a.word())) }

// epoch 3 members=(x0,x1,x2) [next=(x2,x3,x4)] at=(P0,x1) [unless=name]: these
// proxies and nodes learn an epoch, unless a command has ended.
func (e *Env) epoch(a *arguments) {
	number, err := strconv.ParseUint(a.word(), 10, 64)
	if err != nil {
		bad("%v", err)
	}
	members, next, at, unless := a.nodes("members"), a.nodes("next"), a.values("at"), a.value("unless")
	if unless != "" && e.script.Ended(e.named(unless).id) {
		return
	}
	var proxies, nodes []int
	for _, name := range at {
		if strings.HasPrefix(name, "P") {
			proxies = append(proxies, numbered("P", name))
		} else {
			nodes = append(nodes, numbered("x", name))
		}
	}
	e.script.Place(number, members, next, proxies, nodes)
}

// state k0 [of=(x0,x1)]: what nodes hold of a register.
func (e *Env) state(a *arguments) {
	reg, nodes := numbered("k", a.word()), a.nodes("of")
	if nodes == nil {
		nodes = e.script.AllNodes()
	}
	for _, node := range nodes {
		e.say("%s", e.script.Describe(node, reg))
	}
}

// node x0: what a node holds for all registers.
func (e *Env) node(a *arguments) { e.say("%s", e.script.DescribeNode(numbered("x", a.word()))) }

// repeat 3, and directives on the lines below it: these, so many times.
func (e *Env) repeat(a *arguments) {
	times, err := strconv.Atoi(a.word())
	if err != nil {
		bad("%v", err)
	}
	for range times {
		for line := range strings.Lines(a.input) {
			cmd, args, err := datadriven.ParseLine(line)
			if err != nil {
				bad("%v", err)
			}
			inner := &arguments{left: args}
			if verbs[cmd] == nil {
				bad("there is no directive %s", cmd)
			}
			verbs[cmd](e, inner)
			inner.end()
		}
	}
}

// end: everything is delivered, the registers are read, and what the clients
// have seen is checked.
func (e *Env) end(*arguments) {
	e.Failure = e.script.End()
	if e.Failure == "" {
		e.say("linearizable")
		return
	}
	e.say("%s", strings.TrimSpace(e.Failure))
}
