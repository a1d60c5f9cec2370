package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, []byte("text"), 0o600))
	must(t, os.Symlink(path, filepath.Join(dir, "link")))
	for name, want := range map[string]string{path: "text", filepath.Join(dir, "link"): "text", os.DevNull: ""} {
		if got, err := ReadFile(name, 4); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := ReadFile(path, 3); err == nil || !strings.Contains(err.Error(), "larger than 3 bytes") {
		t.Errorf("too large: %v", err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := ReadFile(dir, 4); !errors.Is(err, errNotRegular) {
		t.Errorf("a folder: %v", err)
	}
}

// Whatever stands at the path stays what it is.
func TestWriteFileThroughLinks(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "real", "below"), 0o700))
	must(t, os.Symlink(filepath.Join("real", "below"), filepath.Join(dir, "folder")))
	for _, c := range []struct{ name, link, to, file string }{
		{"to a file", "one", "real/file", "real/file"},
		{"to what is not there yet", "two", filepath.Join(dir, "real", "new"), "real/new"},
		{"through a folder's link", "folder/three", "../up", "real/up"}, // beside below, not beside folder
		{"twice", "four", "one", "real/file"},
	} {
		link := filepath.Join(dir, c.link)
		must(t, os.Symlink(c.to, link))
		must(t, WriteFile(link, []byte(c.name), 0o600))
		if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s: the link is gone: %v %v", c.name, info, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, c.file)); err != nil || string(got) != c.name {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	wantKind(t, WriteFile(filepath.Join(dir, "loop"), nil, 0o600), KindIO)
	wantKind(t, WriteFile(filepath.Join(dir, "no", "folder"), nil, 0o600), KindIO)
	wantKind(t, WriteFile(dir, nil, 0o600), KindIO)
}

// A folder that vanishes while something is written is no missing key.
func TestNotFoundIsForReading(t *testing.T) {
	gone := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	for op, want := range map[string]Kind{"read key": KindNotFound, "list keys": KindNotFound, "write": KindIO, "sync": KindIO, "export keys": KindIO} {
		wantKind(t, ioError(op, "x", gone), want)
	}
}
