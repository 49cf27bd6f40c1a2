package site

import (
	"os"
	"path/filepath"
	"testing"
)

func siteOf(t *testing.T, path string) Site {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := Of(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCopyIsAnotherSite: a file that is opened again is at the same site, also
// after it was renamed; a copy is not.
func TestCopyIsAnotherSite(t *testing.T) {
	dir := t.TempDir()
	original := filepath.Join(dir, "a")
	first := siteOf(t, original)
	if first.Boot == "" || first.Inode == 0 {
		t.Fatalf("%+v", first)
	}
	if err := os.WriteFile(original, []byte("in use"), 0o600); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(original, moved); err != nil {
		t.Fatal(err)
	}
	if again := siteOf(t, moved); !again.Same(first) || !again.SameFiles(first) {
		t.Errorf("%+v is not %+v", again, first)
	}
	if copied := siteOf(t, filepath.Join(dir, "copy")); copied.Same(first) || copied.SameFiles(first) {
		t.Errorf("%+v passes for %+v", copied, first)
	}
	rebooted := first
	rebooted.Boot = "another"
	if rebooted.Same(first) || !rebooted.SameFiles(first) {
		t.Error("after a restart of the machine the files are the same, the site is not")
	}
	if (Site{}).Same(Site{}) || (Site{}).SameFiles(Site{}) {
		t.Error("an unknown site is the same as another")
	}
}
