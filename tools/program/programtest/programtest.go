// Package programtest tests the properties shared by all of Synod's programs.
package programtest

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"synod/tools/program"
)

// Flags checks the program's --help and --version, and that each flag has an
// environment variable.
func Flags(t *testing.T, p program.Program) {
	t.Helper()
	var out, errs bytes.Buffer
	if status := p.Exec([]string{"--help"}, &out, &errs); status != 0 || errs.Len() != 0 {
		t.Fatalf("--help: status %d, %s", status, &errs)
	}
	for _, want := range []string{"Usage: " + p.Name, "Examples:", "[$SYNOD_CONFIG]"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("--help lacks %q", want)
		}
	}
	for _, name := range flagNames(t, p) {
		env := "$SYNOD_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if !strings.Contains(out.String(), env) {
			t.Errorf("--help does not name %s", env)
		}
	}
	out.Reset()
	if status := p.Exec([]string{"--version"}, &out, &errs); status != 0 || !strings.HasPrefix(out.String(), p.Name+" ") {
		t.Errorf("--version: status %d, %s %s", status, &out, &errs)
	}
}

// Example checks that the program accepts its example configuration file, and
// that the file mentions all flags, at least in a comment.
func Example(t *testing.T, p program.Program, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range flagNames(t, p) {
		if !regexp.MustCompile(`(?m)^(# ?)?` + flag + `:`).Match(text) {
			t.Errorf("%s does not name %s", name, flag)
		}
	}
	for what, content := range map[string]string{
		"as it is":         string(text),
		"with all of it":   regexp.MustCompile(`(?m)^# ?([a-z-]+:)`).ReplaceAllString(string(text), "$1"),
		"with an odd key:": string(text) + "\nflavour: 1\n",
	} {
		file := t.TempDir() + "/synod.yaml"
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		ran := false
		p.Run = func(context.Context, io.Writer, *kong.Context) error { ran = true; return nil }
		var out, errs bytes.Buffer
		status := p.Exec([]string{"--config", file}, &out, &errs)
		if odd := strings.Contains(content, "flavour"); odd == ran || odd == (status == 0) {
			t.Errorf("%s, %s: status %d, %s", name, what, status, &errs)
		}
	}
}

// flagNames returns the flags allowed in a configuration file. The program
// lists them in its error for an unknown key.
func flagNames(t *testing.T, p program.Program) []string {
	t.Helper()
	file := t.TempDir() + "/odd.yaml"
	if err := os.WriteFile(file, []byte("flavour: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	p.Exec([]string{"--config", file}, &out, &errs)
	_, list, found := strings.Cut(strings.TrimSpace(errs.String()), "known are ")
	if !found {
		t.Fatalf("unknown keys are not refused: %s", &errs)
	}
	return strings.Split(list, ", ")
}
