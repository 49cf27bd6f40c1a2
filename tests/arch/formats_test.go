package arch

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestFormats checks the pages on formats.
func TestFormats(t *testing.T) {
	checkFormats(project(t), func(what string) { t.Error(what) })
}

// TestFormatsCanFail changes one thing of pages and code that fit together.
func TestFormatsCanFail(t *testing.T) {
	sources := map[string]string{
		"protocol/wire/batch.go":       `package wire; const Version = 4; const (KindA Kind = iota + 1; KindB; KindC)`,
		"protocol/wire/log.go":         `package wire; const (logAccept = iota + 1; logNode)`,
		"protocol/caspaxos/message.go": `package caspaxos; const (Promised Outcome = iota + 1; Unreachable; Unsent)`,
		"storaged/engine/dir.go":       `package engine; const (a = "IDENTITY"; b = "log"; c = "SYNODLOG")`,
	}
	pages := map[string]string{
		wirePage: "`wire.Version`, at present 4\n| kind | message | direction |\n|---|---|---|\n| 1 | a | |\n| 2, 3 | b | |\n\n" +
			"| outcome | | with it comes |\n|---|---|---|\n| 1 | promised | |\n| 2 | unreachable | |\n",
		storagePage: "| file | what it holds |\n|---|---|\n| `IDENTITY` | x |\n| `log/` | x |\n\n" +
			"| kind | entry | layout |\n|---|---|---|\n| 1 | a | |\n| 2 | b | |\n\nheader = \"SYNODLOG\"\n",
	}
	for _, c := range []struct{ file, from, to, says string }{
		{wirePage, "", "", ""},
		{wirePage, "present 4", "present 5", `wire.Version is "4"`},
		{"protocol/wire/batch.go", "KindC", "KindC; KindD", "up to 3, there are 4"},
		{wirePage, "| 2 | unreachable | |\n", "", "up to 1, there are 2"},
		{"protocol/wire/log.go", "logNode", "logNode; logMore", "up to 2, there are 3"},
		{storagePage, "`IDENTITY`", "`IDENTITIES`", `called "IDENTITIES"`},
		{"storaged/engine/dir.go", "SYNODLOG", "SYNODWAL", `begins with "SYNODLOG"`},
	} {
		s, p := maps.Clone(sources), maps.Clone(pages)
		for _, m := range []map[string]string{s, p} {
			if _, ok := m[c.file]; ok && c.from != "" {
				m[c.file] = strings.Replace(m[c.file], c.from, c.to, 1)
			}
		}
		tree, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		tree.Pages = p
		var found []string
		checkFormats(tree, func(what string) { found = append(found, what) })
		if c.says == "" && len(found) > 0 || c.says != "" && !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, c.says) }) {
			t.Errorf("%q for %q in %s: found %q, want %q", c.to, c.from, c.file, found, c.says)
		}
	}
}
