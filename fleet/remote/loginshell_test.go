package remote_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// quietVM is a VM with a lieutenant that has nothing to do.
const quietVM = "chad-fix"

// fuzzedNames are names of files made of all that shells, terminals and formats
// act on. A shell that runs a part of one leaves a file HERE behind.
func fuzzedNames(n int) []string {
	pieces := []string{"$(touch HERE)", "`touch HERE`", ";touch HERE;", "&&touch HERE", "|touch HERE", "\ntouch HERE\n", ">HERE", "'", `"`, `\`, `\\`, "!", "!!", "!$", "\n", "\t", "\r",
		" ", "  ", ";", "&", "*", "?", "[a]", "{a,b}", "(", ")", "<", ">", "~", "#", "%", "%s", "%self", "^", "=", "=ls", "-", "--", "-o", "$HOME", "${x}", "$", ":", ",", "@", "\\n", "\\0101", "\\x41",
		"a", "B", "7", "é", "日本", "\u202e", "\u200b", "\u2028", "\ufeff", "\x1b[31m", "\x7f", "\u0085", "\xff", "\xc3", "👩\u200d💻"}
	rnd := rand.New(rand.NewPCG(12, 1))
	names := []string{"x$(touch HERE)", "-", "-o", "~"}
	for seen := map[string]bool{"-": true, "-o": true, "~": true}; len(names) < n; {
		var b strings.Builder
		for range 1 + rnd.IntN(6) {
			b.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		if !seen[b.String()] {
			seen[b.String()], names = true, append(names, b.String())
		}
	}
	return names
}

// manyNames are fuzzedNames, as many as there is time for.
func manyNames() []string {
	switch {
	case os.Getenv("VERS_FLEET_TORTURE") == "1":
		return fuzzedNames(1000)
	case testing.Short():
		return fuzzedNames(6)
	}
	return fuzzedNames(24)
}

// Names of files, messages and arguments are the same on both sides, and nothing
// of them is run, whatever the login shell on the VM is. VERS_FLEET_TORTURE=1
// takes 1,000 names for each shell.
func TestLoginShells(t *testing.T) {
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	names := manyNames()
	for _, shell := range []string{"bash", "dash", "busybox", "fish", "tcsh", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("CI=true needs it: %v", err)
				}
				t.Skipf("left out: %v", err)
			}
			o := sshd.Options{Shell: path}
			if shell == "busybox" {
				o = sshd.Options{Busybox: true}
			}
			testLoginShell(t, fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD, SSHD: o}), names)
		})
	}
}

func testLoginShell(t *testing.T, w *fleettest.World, names []string) {
	fleettest.RecordAll(t, w)
	f := w.Open()
	vm, err := f.Inventory.One(t.Context(), quietVM)
	if err != nil {
		t.Fatal(err)
	}
	server, err := w.Sim.VM(quietVM).OpenSSH()
	if err != nil {
		t.Fatal(err)
	}
	executed(t, f, vm, names) // first, as some shells make files of their own
	before := entries(t, server.HomeDir)
	folder := `it's "a" \ $(touch HERE) !x ~`

	local := t.TempDir()
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(local, n), []byte(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Remote.Push(t.Context(), vm, remote.PushOptions{Sources: []string{local + "/"}, Dest: "/root/" + folder + "/"}); err != nil {
		t.Errorf("push: %v", err)
	}
	sameNames(t, "pushed", filepath.Join(server.HomeDir, folder), names)

	pulled := filepath.Join(t.TempDir(), "pulled")
	_, err = f.Remote.Pull(t.Context(), remote.PullRequest{Items: []remote.PullItem{{VM: vm, Paths: []string{"/root/" + folder + "/"}}}, Dest: pulled})
	if err != nil {
		t.Errorf("pull: %v", err)
	}
	sameNames(t, "pulled", pulled, names)

	if err := os.Remove(filepath.Join(local, names[0])); err != nil {
		t.Fatal(err)
	}
	one, err := f.Remote.Push(t.Context(), vm, remote.PushOptions{Sources: []string{local + "/"}, Dest: "/root/" + folder + "/", Delete: true})
	if err != nil || one.Deleted != 1 {
		t.Errorf("push --delete: %+v, %v", one, err)
	}
	sameNames(t, "left", filepath.Join(server.HomeDir, folder), names[1:])
	if err := os.Remove(filepath.Join(pulled, names[0])); err != nil {
		t.Fatal(err)
	}
	names = names[1:]

	listed(t, f, vm, folder, names)
	req := remote.PullRequest{Items: []remote.PullItem{{VM: vm, Paths: []string{"/root/" + folder + "/"}}}, Dest: pulled}
	req.Options.Checksum = true
	if results, err := f.Remote.Diff(t.Context(), req); err != nil || len(results) != 1 || results[0].Same != int64(len(names)) || len(results[0].Differences) > 0 {
		t.Errorf("diff: %+v, %v", results, err)
	}
	completed(t, f, folder, names)
	sent(t, f, vm, names)
	if after := entries(t, server.HomeDir); !slices.Equal(without(after, before), []string{folder}) {
		t.Errorf("a name was run: the home folder holds %q", after)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// sameNames wants files of these names in dir, each with its name in it.
func sameNames(t *testing.T, verb, dir string, names []string) {
	t.Helper()
	want := slices.Sorted(slices.Values(names))
	if got := entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s: %d names of %d; too many: %q, missing: %q", verb, len(got), len(want), without(got, want), without(want, got))
	}
	for _, n := range names {
		if data, err := os.ReadFile(filepath.Join(dir, n)); err == nil && string(data) != n {
			t.Errorf("%s: %q holds %q", verb, n, data)
		}
	}
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

// listed wants a list of the folder to name all of them as they are.
func listed(t *testing.T, f *fleet.Fleet, vm inventory.VM, folder string, names []string) {
	t.Helper()
	list, err := f.Remote.Files(t.Context(), vm, "/root/"+folder)
	if err != nil {
		t.Errorf("list: %v", err)
	}
	var got []string
	for _, file := range list {
		if got = append(got, file.Name); file.Size != int64(len(file.Name)) {
			t.Errorf("list: %q has %d bytes", file.Name, file.Size)
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		t.Errorf("list: %d names of %d; too many: %q, missing: %q", len(got), len(names), without(got, names), without(names, got))
	}
}

// completed wants each name whose beginning is typed to be offered, if it shows.
func completed(t *testing.T, f *fleet.Fleet, folder string, names []string) {
	t.Helper()
	for _, n := range names {
		path := "/root/" + folder + "/" + n
		got, err := f.Remote.Paths(t.Context(), quietVM, path)
		if err != nil || slices.Contains(got, path) != (utf8.ValidString(n) && !strings.ContainsFunc(n, safe.Hidden)) {
			t.Errorf("completion of %q: %q, %v", path, got, err)
		}
	}
}

// sent wants the lieutenant to get each message as it was meant.
func sent(t *testing.T, f *fleet.Fleet, vm inventory.VM, names []string) {
	t.Helper()
	var want []string
	for _, n := range names {
		if !utf8.ValidString(n) {
			continue // refused
		}
		want = append(want, "You asked: "+n+"\nDone, see /root/workspace.")
		if err := f.Output.Send(t.Context(), vm, remote.Message{Type: remote.FollowUp, Text: n}); err != nil {
			t.Errorf("send %q: %v", n, err)
		}
	}
	answers, err := f.Output.Answers(t.Context(), []inventory.VM{vm}, remote.AnswerOptions{All: true})
	if err != nil {
		t.Error(err)
	}
	var got []string
	for _, a := range answers {
		got = append(got, a.Text)
	}
	if got = got[max(0, len(got)-len(want)):]; !slices.Equal(got, want) {
		t.Errorf("the lieutenant was asked %d things of %d: %q", len(got), len(want), without(want, got))
	}
}

// executed wants a command to get each name as an argument, whether a newline is
// among them or not.
func executed(t *testing.T, f *fleet.Fleet, vm inventory.VM, names []string) {
	t.Helper()
	lines := slices.Clone(names)
	lines = slices.DeleteFunc(lines, func(n string) bool { return strings.Contains(n, "\n") })
	for args := range slices.Chunk(append(lines, names...), 50) {
		var out bytes.Buffer
		_, err := f.Remote.Exec(t.Context(), remote.ExecRequest{VMs: []inventory.VM{vm}, Command: remote.CommandLine(append([]string{"printf", "%s\\0"}, args...)),
			Output: func(inventory.VM) (io.Writer, io.Writer) { return &out, io.Discard }})
		got := strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
		if err != nil || !slices.Equal(got, args) {
			t.Errorf("exec: %v; changed: %q, missing: %q", err, without(got, args), without(args, got))
		}
	}
}
