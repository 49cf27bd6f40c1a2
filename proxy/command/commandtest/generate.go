package commandtest

import (
	"slices"
	"strings"

	"synod/proxy/command"
)

// Generator makes one sequence.
type Generator struct {
	Source
	groups  map[string][]*command.Spec // by group, repeated by frequency
	makers  map[string][]*command.Spec // of these, the commands that fill collections
	all     []*command.Spec
	home    bool             // use only the first key of each kind
	focus   []string         // the main kinds of value in the sequence
	groupOf []string         // their groups
	members []string         // usual members of collections
	next    int              // number of the last stream entry
	ids     map[string][]int // numbers of the entries added to streams
	queue   []Step           // to be returned before anything else
	req     request
}

// request is state shared by the parts of one request.
type request struct {
	spec    *command.Spec
	kind    string
	key     string // the first
	numKeys int    // as given in the request; 0: not given
	keys    int    // number of keys given
	bulk    int    // number of elements to generate; 0: a few
	from    int    // the first one
	stride  int
	long    bool // some are too long for a compact value
}

// New returns the generator of a seed's sequence of the commands given.
func New(seed uint64, specs []*command.Spec) *Generator {
	g := &Generator{Source: NewSource(seed), groups: map[string][]*command.Spec{}, makers: map[string][]*command.Spec{}, ids: map[string][]int{}}
	for _, spec := range specs {
		for range frequency(spec) {
			g.groups[spec.Group] = append(g.groups[spec.Group], spec)
			g.all = append(g.all, spec)
		}
		if spec.Has(makes) || slices.ContainsFunc(spec.Subcommands, func(sub *command.Spec) bool { return sub.Has(makes) }) {
			g.makers[spec.Group] = append(g.makers[spec.Group], spec)
		}
	}
	var data, each []string // groups, and the group of each command
	for _, spec := range specs {
		if kindOf[spec.Group] == "" {
			continue
		}
		if each = append(each, spec.Group); !slices.Contains(data, spec.Group) {
			data = append(data, spec.Group)
		}
	}
	for range 2 {
		group := Pick(g.Source, each...)
		g.groupOf = append(g.groupOf, group)
		g.focus = append(g.focus, kindOf[group])
	}
	for range 10 {
		g.members = append(g.members, g.newMember())
	}
	g.open(data)
	return g
}

// open queues steps that fill the first key of each kind.
func (g *Generator) open(groups []string) {
	g.home = true
	for _, group := range groups {
		for range min(3, 3*len(g.makers[group])) {
			if args := g.sound(Pick(g.Source, g.makers[group]...)); !unfit(args) {
				g.queue = append(g.queue, Step{Args: args})
			}
		}
	}
	g.home = false
	if g.groups["stream"] == nil {
		return
	}
	for _, words := range []string{
		"XADD stream1 1-0 f 1", "XADD stream1 2-0 f 2 f2 x", "XADD stream2 3-0 f 3", "XGROUP CREATE stream1 g 0", "XGROUP CREATE stream2 g $",
		"XREADGROUP GROUP g c1 STREAMS stream1 >", "XGROUP CREATE stream1 h 1",
	} {
		g.queue = append(g.queue, Step{Args: Words(strings.Fields(words)...)})
	}
	g.ids["stream1"], g.ids["stream2"], g.next = []int{1, 2}, []int{3}, 3
}

// makes are the flags of commands that fill collections.
const makes = command.Write | command.DenyOOM

// frequency says how often to pick a command: commands that empty collections
// less often than reads.
func frequency(spec *command.Spec) int {
	switch {
	case len(spec.Subcommands) > 0:
		return 2 * len(spec.Subcommands)
	case spec.FullName == "xreadgroup": // other group commands depend on it
		return 12
	case spec.FullName == "xclaim" || spec.FullName == "xautoclaim" || spec.FullName == "xpending":
		return 8
	case spec.FullName == "restore": // with generated payloads; DUMP payloads have their own steps
		return 1
	case slices.Contains(rare, spec.FullName):
		return 1
	case left[spec.FullName] != "":
		return 0
	case kindOf[spec.Group] == "" && spec.Group != "generic":
		return 2
	case len(spec.KeySpecs) > 0 && spec.KeySpecs[0].Flags&command.KeyDelete != 0:
		return 2
	}
	return 4
}

// Next returns the next step.
func (g *Generator) Next() Step {
	if len(g.queue) > 0 {
		next := g.queue[0]
		g.queue = g.queue[1:]
		return next
	}
	switch n := g.IntN(200); {
	case n == 0 && g.OneIn(2):
		return Step{Expire: g.Key()}
	case n < 6:
		return Step{Inspect: g.Key()}
	case n < 8:
		return Step{Args: [][]byte{[]byte("DEL"), g.Key()}} // prevents unlimited growth of values
	case n < 12:
		return g.restore()
	}
	args := g.Request()
	if len(args) > 120 && len(args[1]) < 400 {
		g.queue = append(g.queue, Step{Inspect: args[1]})
	}
	return Step{Args: args}
}

// Request returns a request, usually a valid one.
func (g *Generator) Request() [][]byte {
	for {
		args := g.sound(g.pick())
		if g.OneIn(20) {
			args = g.damage(args)
		}
		if g.OneIn(10) {
			args[0] = g.recase(args[0])
		}
		if !unfit(args) {
			return args
		}
	}
}

// pick chooses the command for a request.
func (g *Generator) pick() *command.Spec {
	specs := g.all
	switch n := g.IntN(20); {
	case n < 16:
		group := Pick(g.Source, g.groupOf...)
		if specs = g.groups[group]; g.OneIn(2) && len(g.makers[group]) > 0 {
			specs = g.makers[group]
		}
	case n < 18 && len(g.groups["generic"]) > 0:
		specs = g.groups["generic"]
	case n == 18 && len(g.groups["connection"]) > 0:
		specs = g.groups[Pick(g.Source, "connection", "server")]
	}
	spec := Pick(g.Source, specs...)
	if len(spec.Subcommands) > 0 && (spec.Local == nil || !g.OneIn(4)) {
		container := spec
		for spec = container; spec == container || spec.Name == "help" && !g.OneIn(8); {
			spec = Pick(g.Source, container.Subcommands...)
		}
	}
	return spec
}

// sound returns a request that follows the command's documentation.
func (g *Generator) sound(spec *command.Spec) [][]byte {
	g.begin(spec)
	if special := specials[spec.FullName]; special != nil && !g.OneIn(16) {
		return special(g)
	}
	return g.documented()
}

// begin sets the state shared by a request's parts.
func (g *Generator) begin(spec *command.Spec) {
	g.req = request{spec: spec, kind: kindOf[spec.Group], from: g.IntN(300), stride: 1}
	if g.req.kind == "" {
		g.req.kind = Pick(g.Source, g.focus...)
	}
	if lexical[spec.FullName] || g.req.kind == zsets && g.OneIn(5) {
		g.req.kind = equals
	}
	if g.OneIn(12) {
		g.req.bulk = Pick(g.Source, 10, 60, 127, 128, 129, 200, 511, 512, 513, 700)
		g.req.stride = Pick(g.Source, 1, 1, 2, 3)
		g.req.long = g.OneIn(3)
	}
}

// documented returns a request that follows from the command's declaration.
func (g *Generator) documented() [][]byte {
	spec := g.req.spec
	args := Words(strings.Split(strings.ToUpper(spec.FullName), "|")...)
	var options [][][]byte // consecutive options
	for i := range spec.Args {
		words := g.argument(&spec.Args[i])
		if spec.Args[i].Flags&command.Optional != 0 {
			options = append(options, words)
			if i+1 < len(spec.Args) {
				continue
			}
			words = nil
		}
		if g.OneIn(2) {
			g.Shuffle(len(options), func(i, j int) { options[i], options[j] = options[j], options[i] })
		}
		args = append(append(args, slices.Concat(options...)...), words...)
		options = nil
	}
	return args
}

// argument returns the words of a documented argument; none if it is optional
// and left out.
func (g *Generator) argument(a *command.Arg) (words [][]byte) {
	if a.Flags&command.Optional != 0 && !g.OneIn(3) {
		return nil
	}
	n, from := g.times(a), g.req.from
	for i := range n {
		if n == g.req.bulk {
			g.req.from = from + i*g.req.stride
		}
		if a.Token != "" && a.Type != command.PureToken && (i == 0 || a.Flags&command.MultipleToken != 0) {
			words = append(words, []byte(a.Token))
		}
		words = append(words, g.typed(a)...)
	}
	g.req.from = from
	return words
}

// times returns how often an argument occurs.
func (g *Generator) times(a *command.Arg) int {
	if a.Flags&command.Multiple == 0 {
		return 1
	}
	few := 1
	for few < 6 && !g.OneIn(3) {
		few++
	}
	switch {
	case g.OneIn(40):
	case a.Type == command.KeyArg && g.req.numKeys > 0:
		return g.req.numKeys
	case a.Type == command.KeyArg:
		g.req.keys = few
	case a.Name == "weight" || a.Name == "id" && g.req.keys > 0:
		return max(g.req.keys, g.req.numKeys)
	case g.req.bulk > 0 && slices.Contains(bulky, a.Name):
		return g.req.bulk
	}
	return few
}

// bulky are the arguments that sometimes occur hundreds of times.
var bulky = []string{"field", "field_value", "element", "member", "score_member", "longitude_latitude_member", "id"}

// typed returns the words of one occurrence of an argument.
func (g *Generator) typed(a *command.Arg) [][]byte {
	switch a.Type {
	case command.PureToken:
		return Words(a.Token)
	case command.OneOf:
		inner := a.Args[g.IntN(len(a.Args))]
		inner.Flags &^= command.Optional
		return g.argument(&inner)
	case command.Block:
		var words [][]byte
		for j := range a.Args {
			words = append(words, g.argument(&a.Args[j])...)
		}
		return words
	}
	if g.OneIn(150) {
		return Words(g.Junk())
	}
	return Words(g.word(a))
}
