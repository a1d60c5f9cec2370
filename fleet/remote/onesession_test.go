package remote_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// A server that carries one session per connection (MaxSessions 1) gives and takes
// files like another, large ones too: what needs further sessions has connections
// of its own. Once both failed after a minute.
func TestTransferWithOneSession(t *testing.T) {
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	w := fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD, SSHD: sshd.Options{MaxSessions: 1}})
	fleettest.Record(t, w)
	root, here := w.Sim.VM(sim.MarketingID).Root(), t.TempDir()
	want := map[string][]byte{"large": make([]byte, 20<<20)}
	_, _ = rand.Read(want["large"])
	for i := range 50 {
		want[fmt.Sprintf("f%02d", i)] = fmt.Appendf(nil, "file %d", i)
	}
	write(t, filepath.Join(root, "root/many"), want)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	f, vm := w.Open(), inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	_, err := f.Remote.Pull(ctx, remote.PullRequest{Items: []remote.PullItem{{VM: vm, Paths: []string{"many"}}}, Dest: here})
	if err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(here, "many"), want)
	if _, err := f.Remote.Push(ctx, vm, remote.PushOptions{Sources: []string{filepath.Join(here, "many")}, Dest: "back/"}); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(root, "root/back/many"), want)

	compared, err := f.Remote.Diff(ctx, remote.PullRequest{Items: []remote.PullItem{{VM: vm, Paths: []string{"many"}}}, Dest: here, Options: remote.PullOptions{Checksum: true}})
	if err != nil || len(compared) != 1 || compared[0].State != remote.DiffSame || compared[0].Same != int64(len(want)) {
		t.Errorf("diff: %+v, %v", compared, err)
	}
	if err := os.Remove(filepath.Join(here, "many", "f00")); err != nil {
		t.Fatal(err)
	}
	delete(want, "f00")
	sent, err := f.Remote.Push(ctx, vm, remote.PushOptions{Sources: []string{filepath.Join(here, "many") + "/"}, Dest: "back/many", Delete: true})
	if err != nil || sent.Deleted != 1 {
		t.Errorf("push --delete: %+v, %v", sent, err)
	}
	same(t, filepath.Join(root, "root/back/many"), want)
	if list, err := f.Remote.Files(ctx, vm, "/root/back/many"); err != nil || len(list) != len(want) {
		t.Errorf("list: %d files, %v", len(list), err)
	}
	var one bytes.Buffer
	if err := f.Remote.Cat(ctx, vm, "/root/back/many/f01", &one, func(int64, int64) {}); err != nil || one.String() != "file 1" {
		t.Errorf("one file: %q, %v", one.String(), err)
	}
}

func write(t *testing.T, folder string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, folder string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
