package program

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the Makefile: -ldflags "-X synod/tools/program.version=…".
var (
	version string
	commit  string
)

// Release returns only the release version, which programs report to others.
func Release() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// Version returns version, commit and Go version in one line.
func Version() string {
	c := commit
	if info, ok := debug.ReadBuildInfo(); ok && c == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				c = s.Value
			}
		}
	}
	if c == "" {
		c = "unknown"
	}
	return fmt.Sprintf("%s (commit %s, %s %s/%s)", Release(), c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
