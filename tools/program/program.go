// Package program has what Synod's programs share: flags with environment
// variables and a configuration file, versions, logging, signals and exit
// handling.
//
// A program exits with status 0 and no message, or with status 1 and one line
// on standard error with the reason. SIGINT and SIGTERM request a graceful
// stop; a second signal ends it at once.
package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Program describes one program.
type Program struct {
	Name string
	// Help is printed by --help after the usage line. Indented lines are not
	// reflowed.
	Help string
	// Flags is a pointer to the struct of flags (see kong); it embeds Common.
	// Each flag also has an environment variable, SYNOD_ and its name, and,
	// if File is set, a key in the configuration file.
	Flags any
	// LogLevel is the default of Logging.LogLevel; info if empty.
	LogLevel string
	// Run does the work. ctx ends with the first SIGINT or SIGTERM.
	Run func(ctx context.Context, out io.Writer, k *kong.Context) error
}

// Common are the flags that every program has.
type Common struct {
	Config  kong.ConfigFlag  `help:"Read flags from this YAML file; its keys are the flags' names. Command line and environment come before it." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
}

// Main runs the program with the process's arguments and exits.
func (p Program) Main() {
	os.Exit(p.Exec(os.Args[1:], os.Stdout, os.Stderr))
}

// Exec runs the program with the given arguments and returns its exit status.
func (p Program) Exec(args []string, stdout, stderr io.Writer) int {
	err := p.run(args, stdout, stderr)
	if err == nil || errors.Is(err, errHelp) {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "%s: %s\n", p.Name, oneLine(err))
	return 1
}

// errHelp ends a run after --help or --version.
var errHelp = errors.New("nothing to run")

func (p Program) run(args []string, stdout, stderr io.Writer) (err error) {
	// kong ends --help and --version by calling Exit during parsing.
	defer func() {
		if r := recover(); r != nil {
			if r != errHelp { //nolint:errorlint // the same value that was thrown
				panic(r)
			}
			err = errHelp
		}
	}()
	k, err := kong.New(p.Flags,
		kong.Name(p.Name), kong.Description(p.Help), kong.Writers(stdout, stderr),
		kong.Vars{"version": p.Name + " " + Version(), "log_level": cmp.Or(p.LogLevel, "info")},
		kong.Exit(func(int) { panic(errHelp) }),
		kong.DefaultEnvars("SYNOD"), kong.Configuration(readYAML), kong.ValueFormatter(describe),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100, FlagsLast: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		return fmt.Errorf("set up flags: %w", err)
	}
	parsed, err := k.Parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal is not caught
	return p.Run(ctx, stdout, parsed)
}

// describe returns a flag's help text: its purpose, default and environment
// variable.
func describe(v *kong.Value) string {
	var notes []string
	if v.HasDefault && v.Default != "" && v.Default != "0" {
		notes = append(notes, "default "+v.Default)
	}
	for _, env := range v.Tag.Envs {
		notes = append(notes, "$"+env)
	}
	if len(notes) == 0 {
		return v.Help
	}
	return v.Help + " [" + strings.Join(notes, ", ") + "]"
}

// oneLine prints an error on one line.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
