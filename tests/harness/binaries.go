package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Main runs the tests of a package and removes what was built for them.
func Main(m *testing.M) {
	status := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(status)
}

// builtIn is the temporary directory of the programs, once they are built.
var builtIn string

// sources are the programs, by the module they belong to.
var sources = map[string][]string{
	".":           {"./storaged/cmd/synod-storaged", "./proxy/cmd/synod-proxy", "./tools/synodctl"},
	"tools/synod": {"."},
}

// Binary returns the path of one of Synod's programs. They are built at the
// first call, unless SYNOD_BIN names a directory that has them. Packages whose
// tests call this need Main.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

var build = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("SYNOD_BIN"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.MkdirTemp("", "synod-bin-")
	if err != nil {
		return "", fmt.Errorf("directory for the programs: %w", err)
	}
	builtIn = dir
	for module, packages := range sources {
		cmd := exec.Command("go", append([]string{"build", "-o", dir + "/"}, packages...)...)
		cmd.Dir = filepath.Join(root(), module)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %v in %s: %w\n%s", packages, module, err, out)
		}
	}
	return dir, nil
})

// root is the repository's directory.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
