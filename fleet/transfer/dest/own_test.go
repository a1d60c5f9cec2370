//go:build unix

package dest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestOwn tries each way to change something in what is vers-fleet's own, through
// destinations above it and beside it, by name and by link.
func TestOwn(t *testing.T) {
	home := t.TempDir()
	own := []string{filepath.Join(home, ".config/vers-fleet"), filepath.Join(home, ".state"), filepath.Join(home, "not/yet/there"), filepath.Join(home, ".rc")}
	check(t, os.MkdirAll(filepath.Join(own[0], "keys"), 0o700))
	check(t, os.WriteFile(filepath.Join(own[0], "config.yaml"), []byte("mine"), 0o600))
	check(t, os.MkdirAll(own[1], 0o700))
	link := filepath.Join(t.TempDir(), "link")
	check(t, os.Symlink(home, link))
	for _, in := range []string{own[0], filepath.Join(own[0], "keys/new"), filepath.Join(link, ".state"), own[2], filepath.Join(link, "not/yet/there/x"), own[3]} {
		var refused *OwnError
		if d, err := Open(in, Options{Own: own}); !errors.As(err, &refused) {
			t.Errorf("%s: opened, %v", in, err)
			if err == nil {
				d.Close(false)
			}
		}
	}
	for _, at := range []string{home, link, filepath.Dir(home)} {
		for _, dotfiles := range []bool{true, false} {
			d, err := Open(at, Options{Own: own, Home: home, Dotfiles: dotfiles})
			check(t, err)
			below := ""
			if at == filepath.Dir(home) {
				below = filepath.Base(home) + "/"
			}
			check(t, put(d, below+"file", "x"))
			for _, rel := range []string{
				".config/vers-fleet", ".config/vers-fleet/config.yaml", ".config/vers-fleet/keys/x", ".state", ".state/x", "not/yet/there", "not/yet/there/x", ".rc",
			} {
				for name, op := range ops(d) {
					if op(below+rel) == nil {
						t.Errorf("%s at %s in %s: no error", name, rel, at)
					}
				}
			}
			for _, rel := range []string{"not", "not/yet"} { // a folder may be made there, and nothing else
				if put(d, below+rel, "x") == nil || d.Symlink(below+rel, "file") == nil {
					t.Errorf("%s: no error", rel)
				}
			}
			for _, rel := range []string{".bashrc", ".ssh/authorized_keys", ".config/x"} {
				if err := put(d, below+rel, "x"); (err == nil) != dotfiles {
					t.Errorf("%s with dotfiles %v: %v", rel, dotfiles, err)
				}
			}
			check(t, put(d, below+"sub/.envrc", "x"))
			d.Close(false)
		}
	}
	if got, err := os.ReadFile(filepath.Join(own[0], "config.yaml")); string(got) != "mine" {
		t.Errorf("%q, %v", got, err)
	}
}
