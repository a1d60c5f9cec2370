//go:build unix

package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// lieutenantsFile writes ~/.pi/vers/lieutenants.json with one lieutenant for each
// pair of a name and a VM.
func lieutenantsFile(t *testing.T, home string, pairs ...[2]string) {
	t.Helper()
	var list []string
	for _, p := range pairs {
		list = append(list, fmt.Sprintf(`{"name":%q,"vmId":%q}`, p[0], p[1]))
	}
	path := filepath.Join(home, ".pi", "vers", "lieutenants.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"lieutenants":[`+strings.Join(list, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A name is taken away by its owner saying something else, never by a file that
// became empty, shorter, unreadable or absent: a restarting agent extension
// empties its file in the middle of an outage.
func TestNamesStay(t *testing.T) {
	w := fleettest.New(t, 6)
	user := t.TempDir()
	w.Options.UserHome = user
	vms := w.Sim.VMs()
	one, two := vms[0].ID(), vms[1].ID()
	path := filepath.Join(user, ".pi", "vers", "lieutenants.json")
	means := func(when, name, want string) {
		t.Helper()
		vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), name)
		if got := vm.ID; got != want {
			t.Errorf("%s: %s is %q, want %q (%v)", when, name, got, want, err)
		}
	}
	live := func() {
		t.Helper()
		if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	lieutenantsFile(t, user, [2]string{"scribe", one}, [2]string{"painter", two})
	live()
	for when, spoil := range map[string]func(){
		"empty list": func() { lieutenantsFile(t, user) },
		"shorter":    func() { lieutenantsFile(t, user, [2]string{"painter", two}) },
		"garbage":    func() { _ = os.WriteFile(path, []byte("{"), 0o600) },
		"no byte":    func() { _ = os.WriteFile(path, nil, 0o600) },
		"absent":     func() { _ = os.Remove(path) },
		"a folder":   func() { _ = os.Remove(path); _ = os.Mkdir(path, 0o700) },
	} {
		spoil()
		means(when, "scribe", one)
		live() // the next answer of the API must not forget it either
		means(when+", then a live listing", "scribe", one)
		_ = os.RemoveAll(path)
	}
	lieutenantsFile(t, user, [2]string{"writer", one}, [2]string{"painter", two})
	live()
	means("renamed by its owner", "writer", one)
	means("renamed by its owner", "scribe", "")
	lieutenantsFile(t, user, [2]string{"writer", two})
	live()
	means("given to another VM", "writer", two)
}

// What is only convenient never stands before the rescue: a full id needs
// nothing but its key.
func TestFullIDNeedsOnlyItsKey(t *testing.T) {
	for _, doc := range []string{"names.json", "inventory.json"} {
		for how, spoil := range map[string]func(path string) error{
			"garbage": func(path string) error { return os.WriteFile(path, []byte("{\x00"), 0o600) },
			"wrong type": func(path string) error {
				return os.WriteFile(path, []byte(`{"version":1,"vms":{},"aliases":[]}`), 0o600)
			},
			"open to all":  func(path string) error { return os.Chmod(path, 0o666) },
			"a folder":     func(path string) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
			"a loop":       func(path string) error { _ = os.Remove(path); return os.Symlink(path, path) },
			"a named pipe": func(path string) error { _ = os.Remove(path); return unix.Mkfifo(path, 0o600) },
		} {
			t.Run(doc+"/"+how, func(t *testing.T) {
				w := fleettest.New(t, 6)
				if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Open().Inventory.SetAlias(t.Context(), "mine", inventory.VM{ID: sim.MarketingID}, false); err != nil {
					t.Fatal(err)
				}
				if err := spoil(filepath.Join(w.Home, "default", doc)); err != nil {
					t.Fatal(err)
				}
				f := w.Open(fleettest.Offline)
				vm, err := f.Inventory.One(t.Context(), sim.MarketingID)
				if err != nil {
					t.Fatalf("a full id: %v", err)
				}
				conn, err := f.Access.Connect(t.Context(), vm, access.How{})
				if err != nil {
					t.Fatalf("connect: %v (%s)", err, problem.KindOf(err))
				}
				_ = conn.Close()
			})
		}
	}
}
