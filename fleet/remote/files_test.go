package remote_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// A folder of a VM is listed whatever its entries are called, with the API down.
func TestFiles(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	f := w.Open(fleettest.Offline)
	vm, err := f.Inventory.One(t.Context(), "marketing")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.Sim.VM("marketing").Root(), "root", "odd")
	if err := os.MkdirAll(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"folder": "folder"}
	for _, name := range []string{"a", ".hidden", "-n", "-", "two\nlines", "sp ace", "$(id)", "'\"", "*", "\xff"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o644); err != nil {
			t.Fatal(err)
		}
		want[name] = "file"
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	want["link"] = "link"
	list, err := f.Remote.Files(t.Context(), vm, "/root/odd")
	if err != nil || len(list) != len(want) {
		t.Fatalf("%d of %d: %+v, %v", len(list), len(want), list, err)
	}
	for _, e := range list {
		if want[e.Name] != e.Type || e.Type == "file" && (e.Size != 5 || e.Modified.IsZero()) {
			t.Errorf("%+v, want %q", e, want[e.Name])
		}
	}
	for _, path := range []string{"/root/odd/sp ace", "odd/sp ace", "odd/-"} {
		one, err := f.Remote.Files(t.Context(), vm, path)
		if err != nil || len(one) != 1 || one[0].Size != 5 || one[0].Name != path {
			t.Errorf("%+v, %v", one, err)
		}
	}
	if none, err := f.Remote.Files(t.Context(), vm, "/root/odd/folder"); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
	if _, err := f.Remote.Files(t.Context(), vm, "/root/no such"); problem.KindOf(err) != problem.NotFound {
		t.Error(err)
	}
}

// A VM that lists a folder without end is given up, with what it said so far, by
// listings and by Tab.
func TestEndlessFolder(t *testing.T) {
	t.Parallel()
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	w := fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD})
	fleettest.Record(t, w)
	f := w.Open(fleettest.Offline)
	vm, err := f.Inventory.One(t.Context(), sim.MarketingID)
	if err != nil {
		t.Fatal(err)
	}
	bashrc := filepath.Join(w.Sim.VM(sim.MarketingID).Root(), "root", ".bashrc")
	if err := os.WriteFile(bashrc, []byte("yes file | tr '\\n' '\\0'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := f.Remote.Files(t.Context(), vm, "/root")
	if err != nil || len(list) != 10_000 || list[0].Name != "ile" {
		t.Errorf("%d files, %v", len(list), err)
	}
	paths, err := f.Remote.Paths(t.Context(), vm.ID, "/root/")
	if err != nil || len(paths) != 1000 {
		t.Errorf("%d paths, %v", len(paths), err)
	}
}
