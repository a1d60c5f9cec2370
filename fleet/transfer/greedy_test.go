//go:build unix

package transfer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// greedyShell is a login shell whose .bashrc does something with stdin first.
func greedyShell(t *testing.T, first string) []string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "shell")
	check(t, executable.Write(at, strings.NewReader("#!/bin/sh\n"+first+"\nexec /bin/sh \"$@\"\n")))
	return []string{at}
}

// What a .bashrc reads of stdin is none of what the commands need. Once it took a
// line of their script: nothing was checked by hash, and then all stood still.
func TestBashrcReadsStdin(t *testing.T) {
	vm := newVM(t, "gnu")
	for _, name := range []string{"w/a", "w/d/b", "w/c d"} {
		vm.write(t, name, "content of "+name)
	}
	vm.shell = greedyShell(t, "read -r line; read -r more")
	o := PullOptions{Paths: []string{"w/"}, Dest: t.TempDir()}
	sum, err := pullTest(t, vm.remote(), o)
	check(t, err)
	if sum.Files != 3 || sum.Failed != 0 || sum.Verified != "sha256" {
		t.Errorf("%+v", sum)
	}
	sum, err = pushTest(t, vm.remote(), PushOptions{Sources: []string{o.Dest + "/"}, Dest: "back"})
	check(t, err)
	if sum.Files != 3 || sum.Failed != 0 || sum.Verified != "sha256" {
		t.Errorf("push: %+v", sum)
	}

	vm.noSFTP = true
	for _, first := range []string{"cat >/dev/null", strings.Repeat("read -r line; ", 200)} {
		vm.shell = greedyShell(t, first)
		if _, err = pullTest(t, vm.remote(), o); !errors.Is(err, session.ErrStdin) {
			t.Errorf("pull from a .bashrc that reads all: %v", err)
		}
		_, err = pushTest(t, vm.remote(), PushOptions{Sources: []string{o.Dest + "/"}, Dest: "again"})
		if !errors.Is(err, session.ErrStdin) {
			t.Errorf("push to a .bashrc that reads all: %v", err)
		}
	}
}
