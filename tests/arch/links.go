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
