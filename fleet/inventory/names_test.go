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

// What is only convenient never stands before the rescue: a full id needs nothing
// but its key, whatever became of any file with names. What cannot be used is set
// aside with a warning, and the other names go on.
func TestFullIDNeedsOnlyItsKey(t *testing.T) {
	w := fleettest.New(t, 6)
	user, vers, agent := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "agent")
	var said []string
	w.Options.UserHome, w.Options.VersHome, w.Options.AgentDir = user, vers, agent
	w.Options.Warn = func(text string) { said = append(said, text) }
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open().Inventory.SetAlias(t.Context(), "mine", inventory.VM{ID: sim.MarketingID}, false); err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprintf(`{"lieutenants":[{"name":"scribe","vmId":%q}]}`, sim.MarketingID)
	foreign := map[string]string{
		filepath.Join(vers, "lieutenants.json"):                list,
		filepath.Join(agent, "..", "vers", "lieutenants.json"): list,
		filepath.Join(user, ".pi/vers/lieutenants.json"):       list,
		filepath.Join(user, ".pi/lieutenants.json"):            list,
		filepath.Join(user, ".vers/lieutenants.json"):          list,
		filepath.Join(user, ".vers/aliases.json"):              fmt.Sprintf(`{"scribe":%q}`, sim.MarketingID),
	}
	own := filepath.Join(w.Home, "default")
	sources := []string{filepath.Join(own, "names.json"), filepath.Join(own, "inventory.json"), filepath.Join(own, "gone.json")}
	for path := range foreign {
		sources = append(sources, path)
	}
	for _, path := range sources {
		for how, spoil := range spoilers() {
			before, err := os.ReadFile(path)
			if text, ok := foreign[path]; ok {
				before, err = []byte(text), os.MkdirAll(filepath.Dir(path), 0o700)
			}
			if err == nil {
				err = os.WriteFile(path, before, 0o600)
			}
			if err == nil {
				err = spoil(path)
			}
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(path, how, err)
			}
			said = nil
			f := w.Open(fleettest.Offline)
			vm, err := f.Inventory.One(t.Context(), sim.MarketingID)
			if err != nil {
				t.Fatalf("%s is %s: a full id: %v", path, how, err)
			}
			conn, err := f.Access.Connect(t.Context(), vm, access.How{})
			if err != nil {
				t.Fatalf("%s is %s: connect: %v (%s)", path, how, err, problem.KindOf(err))
			}
			_ = conn.Close()
			for name, source := range map[string]string{"mine": "names.json", "marketing": "inventory.json"} {
				if _, err := f.Inventory.One(t.Context(), name); err != nil && filepath.Base(path) != source {
					t.Errorf("%s is %s, and %s is not known: %v", path, how, name, err)
				}
			}
			told := strings.Contains(strings.Join(said, "\n"), "cannot be read") || strings.Contains(strings.Join(said, "\n"), path+" is not used")
			if _, ok := foreign[path]; (ok || filepath.Base(path) != "gone.json") && !told && how != "open to all" {
				t.Errorf("%s is %s, and nobody says so: %q", path, how, said)
			}
			_ = os.RemoveAll(path)
			if _, ok := foreign[path]; !ok {
				_ = os.WriteFile(path, before, 0o600)
			}
		}
	}
}

// spoilers are the ways in which a file can be of no use.
func spoilers() map[string]func(path string) error {
	replaced := func(with func(path string) error) func(path string) error {
		return func(path string) error { _ = os.Remove(path); return with(path) }
	}
	return map[string]func(path string) error{
		"garbage": func(path string) error { return os.WriteFile(path, []byte("{\x00"), 0o600) },
		"wrong type": func(path string) error {
			return os.WriteFile(path, []byte("7"), 0o600)
		},
		"open to all":  func(path string) error { return os.Chmod(path, 0o666) },
		"a folder":     replaced(func(path string) error { return os.Mkdir(path, 0o700) }),
		"a loop":       replaced(func(path string) error { return os.Symlink(path, path) }),
		"a named pipe": replaced(func(path string) error { return unix.Mkfifo(path, 0o600) }),
	}
}
