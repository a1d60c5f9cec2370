package remote_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// loginFile is what a login shell runs before each command, and how it reads a
// line of stdin there; "" if it has no such file.
type loginFile struct{ shell, name, read string }

func loginFiles() []loginFile {
	return []loginFile{
		{"bash", ".bashrc", "read -r line"}, {"zsh", ".zshenv", "read -r line"}, {"fish", ".config/fish/config.fish", "read line"},
		{"tcsh", ".tcshrc", `set line = "$<"`}, {"dash", "", ""}, {"busybox", "", ""},
	}
}

// Whatever a login shell's own file reads, prints or waits for, lieutenants are
// read, followed, awaited and told the same, and commands and comparisons end as
// without it.
func TestLoginFiles(t *testing.T) {
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	for _, l := range loginFiles() {
		t.Run(l.shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(l.shell)
			if err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("CI=true needs it: %v", err)
				}
				t.Skipf("left out: %v", err)
			}
			o := sshd.Options{Shell: path}
			if l.shell == "busybox" {
				o = sshd.Options{Busybox: true}
			}
			w := fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD, SSHD: o})
			fleettest.RecordAll(t, w)
			for _, first := range []struct{ name, lines string }{
				{"plain", ""}, {"reads a line", l.read}, {"prints garbage", "echo 'Welcome!'\nprintf 'vf is not vf:\\n\\0no newline'"}, {"sleeps", "sleep 0.3"},
			} {
				if l.name == "" && first.lines != "" {
					continue
				}
				t.Run(first.name, func(t *testing.T) {
					setLoginFile(t, w, l.name, first.lines)
					atWork(t, w, first.name)
				})
			}
			if l.shell == "bash" {
				setLoginFile(t, w, l.name, "cat >/dev/null")
				readsAll(t, w.Open())
			}
		})
	}
}

func setLoginFile(t *testing.T, w *fleettest.World, name, lines string) {
	t.Helper()
	for _, vm := range []string{quietVM, "marketing"} {
		server, err := w.Sim.VM(vm).OpenSSH()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(server.HomeDir, name)
		if lines == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(lines+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// atWork does once what is done with lieutenants.
func atWork(t *testing.T, w *fleettest.World, text string) {
	f := w.Open()
	vms, err := f.Inventory.Resolve(t.Context(), inventory.Selection{Names: []string{quietVM, "marketing"}})
	if err != nil {
		t.Fatal(err)
	}
	quiet, busy := vms[0], vms[1]
	list, err := f.Output.Activities(t.Context(), vms)
	if err != nil || list[0].Phase != remote.PhaseIdle || list[1].Phase != remote.PhaseWorking {
		t.Errorf("status: %+v, %v", list, err)
	}
	enough := errors.New("seen")
	err = f.Output.Follow(t.Context(), busy, func(e lieutenant.Event) error {
		if e.Kind != lieutenant.KindText {
			return nil
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("follow: %v", err)
	}
	told := text + "\nand a second line"
	if err := f.Output.Send(t.Context(), quiet, remote.Message{Type: remote.Prompt, Text: told}); err != nil {
		t.Errorf("send: %v", err)
	}
	if a, err := f.Output.AwaitDone(t.Context(), quiet, func(remote.Activity) {}); err != nil || a.Phase != remote.PhaseIdle {
		t.Errorf("when done: %+v, %v", a, err)
	}
	answers, err := f.Output.Answers(t.Context(), []inventory.VM{quiet}, remote.AnswerOptions{})
	if err != nil || len(answers) != 1 || answers[0].Text != "You asked: "+told+"\nDone, see /root/workspace." {
		t.Errorf("answers: %+v, %v", answers, err)
	}
	var out bytes.Buffer
	_, err = f.Remote.Exec(t.Context(), remote.ExecRequest{VMs: []inventory.VM{quiet}, Command: remote.CommandLine([]string{"printf", "%s|", "a b", "$c"}),
		Output: func(inventory.VM) (io.Writer, io.Writer) { return &out, io.Discard }})
	if err != nil || !strings.HasSuffix(out.String(), "a b|$c|") {
		t.Errorf("exec: %q, %v", out.String(), err)
	}
	compared(t, f, quiet)
}

// compared pulls, and wants nothing to differ then.
func compared(t *testing.T, f *fleet.Fleet, vm inventory.VM) {
	t.Helper()
	req := remote.PullRequest{Items: []remote.PullItem{{VM: vm, Paths: []string{"/root/workspace/"}}}, Dest: filepath.Join(t.TempDir(), "pulled")}
	if results, err := f.Remote.Pull(t.Context(), req); err != nil || results[0].Files == 0 {
		t.Errorf("pull: %+v, %v", results, err)
	}
	results, err := f.Remote.Diff(t.Context(), req)
	if err != nil || len(results) != 1 || results[0].Same == 0 || slices.ContainsFunc(results, func(r remote.DiffResult) bool { return len(r.Differences) > 0 }) {
		t.Errorf("diff: %+v, %v", results, err)
	}
}

// readsAll wants a message that .bashrc has read to be an error that says so: the
// lieutenant got none.
func readsAll(t *testing.T, f *fleet.Fleet) {
	vm, err := f.Inventory.One(t.Context(), quietVM)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Output.Send(t.Context(), vm, remote.Message{Type: remote.FollowUp, Text: "lost"}); !errors.Is(err, lieutenant.ErrStdin) {
		t.Errorf("send past a .bashrc that reads all: %v", err)
	}
}
