package arch

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// pageChecks compare the documents with the code.
var pageChecks = map[string]func(*Tree, func(string)){
	"citations": checkCitations,
	"switches":  checkSwitches,
	"traces":    checkTraces,
	"names":     checkNamed,
	"links":     checkLinks,
	"decisions": checkDecisions,
}

// TestPages checks the project's documents.
func TestPages(t *testing.T) {
	tree := project(t)
	if n := len(tree.ruleSwitches()); n < 50 {
		t.Fatalf("only %d rule switches were found", n)
	}
	if n := len(tree.shownBy()); n < 50 {
		t.Fatalf("only %d switches are shown by tests/sim and tests/paxostest", n)
	}
	for name, check := range pageChecks {
		t.Run(name, func(t *testing.T) {
			check(tree, func(what string) { t.Error(what) })
		})
	}
}

func TestSectionsAreRead(t *testing.T) {
	const page = "# 9 Title\n## 4. Four\n1. x\n12. y\n### 4.2 Two: z\n1. x\n   2. indented\n- 3. no\n## Other\n5. x\n## 10. Ten\n"
	if got := strings.Join(slices.Sorted(maps.Keys(sections(page))), " "); got != "10 4 4.1 4.12 4.2 4.2.1" {
		t.Error(got)
	}
}

const goodProtocol = `## 1. One
## 2. Two
1. item
## 3. Switches
| rule | section | what it says | shown by |
|---|---|---|---|
| ` + "`RuleA` | §1 | a | \"first trace\" |" + `
| ` + "`RuleB` | §2.1, §2 | b | runs of `Random` |" + `
| ` + "`ruleC` | §2 | c | `TestC` |" + `
## Appendix
| name | trace | closed by | transcript |
|---|---|---|---|
| First trace | x | §1 | [file](../tests/paxostest/testdata/traces/first_trace.txt) |
| other trace | x | §9 | with §1 |
`

var goodSources = map[string]string{
	"protocol/caspaxos/rules.go": `package caspaxos
		const (
			RuleA Rules = 1 << iota // §1 a
			RuleB // §2 b
			ruleEnd
		)
		// f is §2.1.
		func f() {}`,
	"storaged/engine/damage.go":      `package engine; const ruleC rules = 1`,
	"storaged/engine/damage_test.go": `package engine; func TestC() {}`,
	"tests/sim/rules_test.go": `package sim
		func Random() {}
		var ruleCases = []ruleCase{{name: "B", rule: caspaxos.RuleB, profile: Random}}`,
}

var goodTranscripts = map[string]string{"first_trace": "cluster\n\nend\n----\nomit RuleA\n----\n"}

// TestPagesCanFail changes one thing of documents and code that fit together.
func TestPagesCanFail(t *testing.T) {
	const page, rules = protocolPage, "protocol/caspaxos/rules.go"
	const decision = "docs/decisions/0001-a.md"
	for _, c := range []struct {
		check, file, from, to string
		says                  string
	}{
		{"citations", rules, "§2.1.", "§2.2.", "§2.2 is no section"},
		{"citations", page, "1. item", "- item", "§2.1 is no section"},
		{"citations", "README.md", "[a](docs/protocol.md#1-one)", "see §8", "§8 is no section"},
		{"switches", rules, "RuleB //", "RuleB; RuleD //", "RuleD has no row"},
		{"switches", rules, "RuleB // §2", "// §2", "there is no switch RuleB"},
		{"switches", rules, "RuleA Rules = 1 << iota // §1", "RuleA Rules = 1 << iota // §2", "RuleA cites §2"},
		{"switches", page, "`RuleA` | §1", "`RuleA` | §7", "names §7"},
		{"switches", page, "`RuleA` | §1", "`RuleA` | one", "names no section"},
		{"switches", page, "\"first trace\"", "", "neither trace nor profile nor test"},
		{"switches", page, "\"first trace\"", "\"no trace\"", `"no_trace"`},
		{"switches", page, "\"first trace\"", "`TestC`", "does not say that it is shown by"},
		{"switches", page, "runs of `Random`", "runs of `Chance`", `"Chance"`},
		{"switches", page, "`TestC`", "`TestD`", `"TestD"`},
		{"switches", page, "`ruleC`", "`RuleA`", "has two rows"},
		{"switches", "storaged/engine/damage.go", "ruleC rules", "other rules", "no switch ruleC"},
		{"traces", page, "| First trace |", "| Last trace |", "first_trace.txt is not in the appendix"},
		{"traces", page, "| other trace | x | §9 | with §1 |", "| other trace | x | §9 | [file](../tests/paxostest/testdata/traces/other_trace.txt) |", "no transcript other_trace"},
		{"traces", page, "[file](../tests/paxostest/testdata/traces/first_trace.txt)", "with §1", "by now"},
		{"names", "README.md", "`TestC`", "`TestNone`", "no test TestNone"},
		{"names", "README.md", "`make sim X=1`", "`make sin X=1`", "no target"},
		{"names", "README.md", "`storaged/engine`", "`storaged/motor`", "no storaged/motor"},
		{"names", "README.md", "`storaged/engine.Open`", "`storaged/motor.Open`", "no storaged/motor.Open"},
		{"links", "README.md", "docs/protocol.md#1-one", "docs/protokol.md", "leads nowhere"},
		{"links", "README.md", "docs/protocol.md#1-one", "docs/protocol.md#2-one", "no heading #2-one"},
		{"decisions", decision, "# 0001: A", "# 0001: B", "is not what"},
		{"decisions", decision, "## Rejected", "## Refused", `no part "Rejected"`},
		{"decisions", "docs/decisions/README.md", "0001-a.md", "0001-b.md", "is not what"},
	} {
		for _, broken := range []bool{false, true} {
			sources := maps.Clone(goodSources)
			pages := map[string]string{page: goodProtocol, "README.md": "[a](docs/protocol.md#1-one) `TestC` `storaged/engine` `storaged/engine.Open` `storaged/...` `make sim X=1`",
				decision: "# 0001: A\n\nx\n\n## Why\n\n## Rejected\n\n## Measured\n", "docs/decisions/README.md": "| | decision |\n|---|---|\n| [0001](0001-a.md) | A |\n"}
			if broken {
				into := sources
				if strings.HasSuffix(c.file, ".md") {
					into = pages
				}
				if !strings.Contains(into[c.file], c.from) {
					t.Fatalf("%s has no %q", c.file, c.from)
				}
				into[c.file] = strings.Replace(into[c.file], c.from, c.to, 1)
			}
			tree, err := Parse(sources)
			if err != nil {
				t.Fatal(err)
			}
			tree.Transcripts, tree.Makefile = goodTranscripts, "sim: ## simulate\n"
			tree.Pages, tree.Paths = pages, map[string]bool{"storaged": true, "storaged/engine": true, page: true, decision: true,
				"tests/paxostest/testdata/traces/first_trace.txt": true}
			var found []string
			pageChecks[c.check](tree, func(what string) { found = append(found, what) })
			ours := func(s string) bool { return strings.Contains(s, c.says) }
			if broken && !slices.ContainsFunc(found, ours) {
				t.Errorf("%s: %q for %q: found %q, want one that says %q", c.check, c.to, c.from, found, c.says)
			}
			if !broken && slices.ContainsFunc(found, func(s string) bool { return !strings.Contains(s, "§9") }) {
				t.Errorf("%s: found %q where all is well", c.check, found)
			}
		}
	}
}
