package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"synod/meta/placement"
	"synod/meta/store"
)

// statusCommand is `synodctl status`.
type statusCommand struct {
	Output string `short:"o" help:"How to print it: ${enum}." enum:"table,json" default:"table" placeholder:"FORMAT"`
}

// Help is printed by `synodctl status --help`.
func (statusCommand) Help() string {
	return `What etcd knows of the cluster: a node is up while it renews its lease, every few seconds.

Examples:

    synodctl status
    synodctl status -o json | jq '.nodes[] | select(.up | not)'`
}

func (c *statusCommand) run(ctx context.Context, out io.Writer, st *store.Store) error {
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	snap, err := st.Get(limited)
	if err != nil {
		return err
	}
	s := newStatus(st.Cluster(), snap)
	if c.Output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	_, err = io.WriteString(out, s.render(time.Now()))
	return err
}

// status is the output of `status -o json`. Fields may be added, but never
// renamed.
type status struct {
	Cluster     string        `json:"cluster"`
	ClusterID   string        `json:"cluster_id"`
	Initialised bool          `json:"initialised"`
	Nodes       []nodeStatus  `json:"nodes"`
	Proxies     []store.Proxy `json:"proxies"`
	Groups      []groupStatus `json:"groups"`
	Ranges      []rangeStatus `json:"ranges"`
}

type nodeStatus struct {
	store.Node
	// Slots that the node holds, will hold or will give up.
	Slots int `json:"slots"`
}

type groupStatus struct {
	ID    string   `json:"id"`
	Nodes []string `json:"nodes"`
	Up    int      `json:"nodes_up"`
	// Serving means that a quorum of the group is up.
	Serving bool `json:"serving"`
	Slots   int  `json:"slots"`
}

type rangeStatus struct {
	First uint16          `json:"first"`
	Last  uint16          `json:"last"`
	Epoch uint64          `json:"epoch"`
	State placement.State `json:"state"`
	Group string          `json:"group"`
	Next  string          `json:"next,omitempty"`
}

func newStatus(cluster string, snap *store.Snapshot) *status {
	s := &status{
		Cluster: cluster, ClusterID: snap.ClusterID, Initialised: snap.Table != nil,
		Nodes: []nodeStatus{}, Proxies: append([]store.Proxy{}, snap.Proxies...),
		Groups: []groupStatus{}, Ranges: []rangeStatus{},
	}
	for _, n := range snap.Nodes {
		ns := nodeStatus{Node: n}
		if snap.Table != nil {
			ns.Slots = snap.Table.SlotsOf(n.ID)
		}
		s.Nodes = append(s.Nodes, ns)
	}
	if snap.Table == nil {
		return s
	}
	slots := make(map[string]int)
	for _, r := range snap.Table.Ranges {
		slots[r.Group] += r.Slots()
		s.Ranges = append(s.Ranges, rangeStatus{r.First, r.Last, r.Epoch, r.State, r.Group, r.Next})
	}
	for _, g := range snap.Table.Groups {
		up := len(g.Nodes) - len(store.Missing(snap, g.Nodes))
		s.Groups = append(s.Groups, groupStatus{g.ID, g.Nodes, up, up > len(g.Nodes)/2, slots[g.ID]})
	}
	return s
}

// render prints the status for people.
func (s *status) render(now time.Time) string {
	var b strings.Builder
	if s.Initialised {
		_, _ = fmt.Fprintf(&b, "Cluster %s (%s)\n", s.Cluster, s.ClusterID)
	} else {
		_, _ = fmt.Fprintf(&b, "Cluster %s is not initialised: synodctl init --nodes … creates it.\n", s.Cluster)
	}

	section(&b, "Nodes", "none is registered", table.Row{"NODE", "STATE", "SINCE", "ADDRESS", "ADMIN", "SLOTS", "VERSION"}, s.Nodes,
		func(n nodeStatus) table.Row {
			return table.Row{n.ID, upDown(n.Up), since(now, n.Since), n.Addr, n.Admin, n.Slots, n.Version}
		})
	section(&b, "Proxies", "none is up", table.Row{"PROXY", "UP SINCE", "ADDRESS", "ADMIN", "PROPOSER", "VERSION"}, s.Proxies,
		func(p store.Proxy) table.Row {
			return table.Row{p.Name, since(now, p.Since), p.Addr, p.Admin, p.ProposerID, p.Version}
		})
	if !s.Initialised {
		return b.String()
	}
	section(&b, "Groups", "", table.Row{"GROUP", "NODES", "UP", "SLOTS", ""}, s.Groups,
		func(g groupStatus) table.Row {
			note := ""
			if !g.Serving {
				note = "no quorum is up"
			}
			return table.Row{g.ID, strings.Join(g.Nodes, " "), fmt.Sprintf("%d of %d", g.Up, len(g.Nodes)), g.Slots, note}
		})
	section(&b, "Slots", "", table.Row{"SLOTS", "GROUP", "EPOCH", "STATE"}, s.Ranges,
		func(r rangeStatus) table.Row {
			group := r.Group
			if r.Next != "" {
				group += " → " + r.Next
			}
			return table.Row{fmt.Sprintf("%d-%d", r.First, r.Last), group, r.Epoch, r.State}
		})
	return b.String()
}

func section[T any](b *strings.Builder, title, none string, header table.Row, items []T, row func(T) table.Row) {
	if len(items) == 0 {
		_, _ = fmt.Fprintf(b, "\n%s: %s\n", title, none)
		return
	}
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	t.SetStyle(style)
	t.AppendHeader(header)
	for _, item := range items {
		t.AppendRow(row(item))
	}
	_, _ = fmt.Fprintf(b, "\n%s\n", title)
	for line := range strings.Lines(t.Render() + "\n") {
		b.WriteString("  " + strings.TrimRight(line, " \n") + "\n")
	}
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// since prints a time and how long ago it was.
func since(now, t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	ago := max(0, now.Sub(t)).Round(time.Second)
	return t.Local().Format("2006-01-02 15:04:05") + " (" + ago.String() + ")"
}
