package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// localSuite times what reaches no VM: the start of the process, and lists of
// fleets that are only recorded.
func localSuite(ctx context.Context, r *rig, out io.Writer) error {
	if err := r.startTable(ctx, out); err != nil {
		return err
	}
	sizes := []int{12, 1000, 10_000}
	if r.o.quick {
		sizes = []int{12, 100}
	}
	if r.o.vms > 0 {
		sizes = append(sizes, r.o.vms)
	}
	for _, n := range sizes {
		if err := r.listTable(ctx, n, out); err != nil {
			return err
		}
	}
	return nil
}

// startTable sets the start beside that of ssh, and of a program that does nothing.
func (r *rig) startTable(ctx context.Context, out io.Writer) error {
	bare := filepath.Join(r.dir, "bare")
	bareErr := buildBare(ctx, bare)
	return r.loginRace(ctx, "Process start", []*entry{
		{result: result{name: "ssh -V", err: missing([]string{"ssh"})}, run: always(func() *exec.Cmd { return exec.Command("ssh", "-V") })},
		{result: result{name: "a Go program that does nothing", floor: true, err: bareErr}, run: always(func() *exec.Cmd { return exec.Command(bare) })},
		{result: result{name: "vers-fleet version", ours: true, reuses: true, err: r.noBin}, run: always(func() *exec.Cmd { return exec.Command(r.binary, "version") })},
	}, out)
}

func buildBare(ctx context.Context, path string) error {
	source := path + ".go"
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, source).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, lastLine(string(out)))
	}
	return nil
}

// listTable lists a recorded fleet of n VMs without the API, in three ways.
func (r *rig) listTable(ctx context.Context, n int, out io.Writer) error {
	home := filepath.Join(r.dir, "list"+strconv.Itoa(n))
	defer func() { _ = os.RemoveAll(home) }()
	if err := recordFleet(home, n); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // what was recorded just now is in no index yet
	var entries []*entry
	for _, list := range []struct {
		name string
		args []string
	}{
		{"vers-fleet vms --offline", []string{"vms", "--offline"}},
		{"vers-fleet vms --offline -o json", []string{"vms", "--offline", "-o", "json"}},
		{"completion of a VM", []string{"__offer", "zsh", "--word", "worker-1", "--", "ssh"}},
	} {
		command := func() *exec.Cmd {
			cmd := exec.Command(r.binary, list.args...)
			cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "VERS_FLEET_HOME="+home)
			return cmd
		}
		err := r.noBin
		if err == nil {
			_, err = timed(ctx, command(), r.o.limit) // the first listing writes the index
		}
		entries = append(entries, &entry{result: result{name: list.name, ours: true, reuses: true, err: err}, run: always(command)})
	}
	if err := r.loginRace(ctx, fmt.Sprintf("List of %d recorded VMs", n), entries, out); err != nil {
		return err
	}
	for _, e := range entries {
		cmd, err := e.run(ctx)
		if err != nil || cmd.Run() != nil {
			continue // the table has said it
		}
		if peak := peakMemory(cmd.ProcessState); peak > 0 {
			fmt.Fprintf(out, "Most memory of %s: %.1f MiB\n", e.name, float64(peak)/(1<<20))
		}
	}
	return nil
}

// recordFleet writes a profile of n VMs, each with a key and a name.
func recordFleet(home string, n int) error {
	store, err := keystore.Open(filepath.Join(home, "default"), keystore.Options{ParseKey: sshconn.ParseKey})
	if err != nil {
		return err
	}
	inv := keystore.Inventory{AsOf: time.Now()}
	for i := range n {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			return err
		}
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i)*2654435761, i) // spread, as ids are
		if _, err := store.PutKey(id, pem.EncodeToMemory(block), keystore.KeyInfo{Source: "api"}); err != nil {
			return err
		}
		inv.VMs = append(inv.VMs, keystore.InventoryVM{ID: id, VMFacts: keystore.VMFacts{
			State: "running", CreatedAt: inv.AsOf, Labels: map[string]string{"name": fmt.Sprintf("worker-%d", i), "role": "worker"},
		}})
	}
	return store.PutInventory(inv)
}
