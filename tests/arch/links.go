package arch

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#{1,6} (.*)$`)
)

// anchors returns the anchors that GitHub gives a page's headings.
func anchors(page string) map[string]bool {
	found := make(map[string]bool)
	code := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		m := heading.FindStringSubmatch(line)
		if m == nil || code {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		found[name] = true
	}
	return found
}

// checkLinks reports links of pages to files or headings that do not exist.
func checkLinks(t *Tree, report func(string)) {
	for _, name := range slices.Sorted(maps.Keys(t.Pages)) {
		for _, m := range link.FindAllStringSubmatch(t.Pages[name], -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
			}
			page, isPage := t.Pages[to]
			switch {
			case !t.exists(to):
				report(fmt.Sprintf("%s: the link to %s leads nowhere", name, m[1]))
			case anchor != "" && (!isPage || !anchors(page)[anchor]):
				report(fmt.Sprintf("%s: %s has no heading #%s", name, to, anchor))
			}
		}
	}
}

var decisionPage = regexp.MustCompile(`^docs/decisions/(\d{4})-[a-z0-9-]+\.md$`)

// checkDecisions reports pages of decisions that lack a part, or that the index does
// not list under their title, and numbers that are used twice or left out.
func checkDecisions(t *Tree, report func(string)) {
	const folder = "docs/decisions/"
	listed := make(map[string]string)
	for _, cells := range tableRows(t.Pages[folder+"README.md"], "", "decision") {
		if m := link.FindStringSubmatch(cells[0]); m != nil {
			listed[folder+m[1]] = cells[1]
		}
	}
	next := 1
	for _, name := range slices.Sorted(maps.Keys(t.Pages)) {
		m := decisionPage.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if number := fmt.Sprintf("%04d", next); m[1] != number {
			report(fmt.Sprintf("%s: the next decision is %s", name, number))
		}
		next++
		title, body, _ := strings.Cut(t.Pages[name], "\n")
		if listed[name] == "" || title != "# "+m[1]+": "+listed[name] {
			report(fmt.Sprintf("%s: %q is not what %sREADME.md lists it as: %q", name, title, folder, listed[name]))
		}
		for _, part := range []string{"Why", "Rejected", "Measured"} {
			if !strings.Contains(body, "\n## "+part+"\n") {
				report(fmt.Sprintf("%s: there is no part %q", name, part))
			}
		}
	}
}
