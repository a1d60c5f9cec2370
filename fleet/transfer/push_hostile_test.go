//go:build unix

package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// rewriter changes what a command of the VM says after ready.
type rewriter struct {
	w     io.Writer
	begun bool
	say   func(w io.Writer, p []byte) error
}

func (r *rewriter) Write(p []byte) (int, error) {
	n := len(p)
	if !r.begun {
		at := bytes.Index(p, []byte(session.Ready))
		if at < 0 {
			return r.w.Write(p)
		}
		r.begun = true
		if _, err := r.w.Write(p[:at+len(session.Ready)]); err != nil {
			return 0, err
		}
		p = p[at+len(session.Ready):]
	}
	return n, r.say(r.w, p)
}

// TestPushHostile pushes to VMs that answer something else than asked. Nothing
// is called sent that the VM did not prove, nothing here changes, and it ends.
func TestPushHostile(t *testing.T) {
	endless := func(unit string) func(io.Writer, []byte) error {
		return func(w io.Writer, _ []byte) error {
			block := []byte(strings.Repeat(unit, 1+64<<10/len(unit)))
			for {
				if _, err := w.Write(block); err != nil {
					return err
				}
			}
		}
	}
	instead := func(text string) func(io.Writer, []byte) error {
		return func(w io.Writer, _ []byte) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	const hashes = "every command that answers with hashes"
	lie := fmt.Sprintf("%064x *x\n", 1)
	for name, c := range map[string]struct {
		cmd string // what its command contains
		say func(io.Writer, []byte) error
	}{
		"letters of no meaning":      {"xargs -0 sh -c", instead("ZZZZZZZZZZZZZZZZ")},
		"no letters":                 {"xargs -0 sh -c", instead("")},
		"endless letters":            {"xargs -0 sh -c", endless("K")},
		"all is placed, it says":     {"xargs -0 sh -c", instead(strings.Repeat("K", 64))},
		"hashes that are wrong":      {hashes, instead(lie + lie + lie)},
		"hashes of other files":      {hashes, instead(strings.Repeat(lie, 1000))},
		"hashes without an end":      {hashes, endless(lie)},
		"a line without an end":      {hashes, endless("a")},
		"no hashes":                  {hashes, instead("")},
		"the sender is answered":     {pushTarCmd, endless("no\n")},
		"appending is answered":      {hashes, endless("no\n")},
		"it placed nothing, it says": {pushPlaceCmd, instead("FFFFE")},
		"it placed what, it says":    {pushPlaceCmd, instead("ZZZZ")},
		"placing has no end":         {pushPlaceCmd, endless("D")},
		"it can make no links":       {pushPlaceCmd, endless("H")},
		"placing is not answered":    {pushPlaceCmd, instead("")},
		"escapes instead of text":    {"xargs -0 sh -c", instead("\x1b]0;evil\a")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, "gnu")
			vm.edit = func(cmd string, out io.Writer) io.Writer {
				answersHashes := slices.Contains([]string{hashCmd, pushTarCmd, pushRangeCmd, prefixHashCmd, blockHashCmd}, cmd)
				if !strings.Contains(cmd, c.cmd) && !(c.cmd == hashes && answersHashes) {
					return out
				}
				return &rewriter{w: out, say: c.say}
			}
			here := t.TempDir()
			check(t, os.WriteFile(filepath.Join(here, "small"), []byte("small"), 0o644))
			check(t, os.WriteFile(filepath.Join(here, "large"), randomBytes(1, largePush+5), 0o644))
			peak := watchHeap(t)
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/"}, Dest: "in"})
			if errors.Is(err, context.DeadlineExceeded) {
				t.Fatal("it did not end")
			}
			t.Logf("%+v, %v", sum, err)
			if err == nil && sum.Failed == 0 && sum.Verified == "sha256" {
				t.Error("nothing was noticed")
			}
			if got, err := os.ReadFile(filepath.Join(here, "small")); err != nil || string(got) != "small" {
				t.Errorf("the source is %q now, %v", got, err)
			}
			for _, f := range sum.Failures {
				if strings.ContainsAny(f.Reason, "\x1b\n") {
					t.Errorf("a reason that is not clean: %q", f.Reason)
				}
			}
			if peak() > 300<<20 {
				t.Errorf("the heap grew to %d MiB", peak()>>20)
			}
		})
	}
}

const pushChildEnv = "VERS_FLEET_PUSH_CHILD"

// TestPushChild is the child of TestKilledPushes and does nothing by itself.
func TestPushChild(t *testing.T) {
	vm, from := childVM(t, pushChildEnv)
	if _, err := Push(t.Context(), vm.remote(), PushOptions{Sources: []string{from}, Dest: "in"}); err != nil {
		t.Fatal(err)
	}
}

// TestKilledPushes kills a pushing process (kill -9) at random moments. After
// each kill what bears its final name on the VM is right, and the next run ends
// well and leaves nothing behind.
func TestKilledPushes(t *testing.T) {
	rounds := 2
	if torture() {
		rounds = 100
	}
	here := newVM(t, "gnu")
	fillResume(t, here)
	rnd := rand.New(rand.NewPCG(7, 8))
	for range rounds {
		vm := newVM(t, "gnu")
		child := exec.Command(os.Args[0], "-test.run=^TestPushChild$")
		child.Env = append(os.Environ(), pushChildEnv+"="+vm.home+"\n"+here.file("work"))
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		check(t, child.Start())
		// The VM's commands too: they end with their connection.
		time.AfterFunc(time.Duration(50+rnd.IntN(700))*time.Millisecond, func() { _ = syscall.Kill(-child.Process.Pid, syscall.SIGKILL) })
		_ = child.Wait()
		rightOrAbsent(t, here, vm.file("in"))
		sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here.file("work")}, Dest: "in"})
		check(t, err)
		if rightOrAbsent(t, here, vm.file("in")) != 0 || sum.Failed != 0 {
			t.Fatalf("not complete: %+v", sum)
		}
		if left, _ := filepath.Glob(vm.file("in/.vers*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		sameTree(t, here.file("work"), vm.file("in/work"), false)
	}
}

// TestPushTidies finds nothing to send, and what a killed push left.
func TestPushTidies(t *testing.T) {
	vm := newVM(t, "gnu")
	src := filepath.Join(t.TempDir(), "x")
	check(t, os.WriteFile(src, []byte("x"), 0o644))
	o := PushOptions{Sources: []string{src}, Dest: "in/"}
	var part atomic.Value
	vm.edit = func(_ string, out io.Writer) io.Writer {
		return &rewriter{w: out, say: func(w io.Writer, p []byte) error { // there is a hash: then there is the folder
			if names, _ := filepath.Glob(vm.file("in/.vers*")); len(names) > 0 {
				part.Store(names[0])
			}
			_, err := w.Write(p)
			return err
		}}
	}
	_, err := pushTest(t, vm.remote(), o)
	check(t, err)
	check(t, os.Mkdir(part.Load().(string), 0o755))
	sum, err := pushTest(t, vm.remote(), o)
	check(t, err)
	if got := tree(t, vm.file("in")); len(got) != 1 || sum.Files != 0 {
		t.Errorf("on the VM: %q, sent %d", got, sum.Files)
	}
}

// TestPushCut cuts the connection again and again; the run goes on by itself.
func TestPushCut(t *testing.T) {
	here := newVM(t, "gnu")
	total := fillResume(t, here)
	vm := newVM(t, "gnu")
	vm.takes = 6 << 20
	r := vm.remote()
	cuts := 0
	r.Redial = func(context.Context) (Conn, error) {
		cuts++
		return vm, nil
	}
	sum, err := pushTest(t, r, PushOptions{Sources: []string{here.file("work")}, Dest: "in"})
	check(t, err)
	if cuts < 2 || sum.Failed != 0 || sum.Moved > total+total/2 {
		t.Errorf("%d cuts, %+v", cuts, sum)
	}
	sameTree(t, here.file("work"), vm.file("in/work"), false)
}

// A VM that has more than can be compared ends a push that deletes, at once and with
// the limit in its words; nothing is tried another way.
func TestPushLimitIsToldAsLimit(t *testing.T) {
	vm := newVM(t, "nozstd")
	vm.edit = func(cmd string, out io.Writer) io.Writer {
		if cmd != session.RunScript {
			return out
		}
		return &rewriter{w: out, say: func(w io.Writer, p []byte) error {
			if !strings.HasPrefix(string(p), "P\x00") { // the listing begins so
				_, err := w.Write(p)
				return err
			}
			_, err := io.WriteString(w, "P\x00find\x00gnu\x00sha256sum\x00no\x00dd full tee\x00R0\x00")
			for i := 0; err == nil; i++ {
				_, err = fmt.Fprintf(w, "Ff 4 644 1700000000.5 1 7 1 8\x00\x00%0200d\x00", i)
			}
			return err
		}}
	}
	r := vm.remote()
	r.Redial = func(context.Context) (Conn, error) {
		t.Error("a limit was taken for a dropped connection")
		return vm, nil
	}
	_, err := pushTest(t, r, PushOptions{Sources: []string{sources(t, map[string]string{"a": "a"}) + "/"}, Dest: "in", Delete: true})
	if !IsLimit(err) || !strings.Contains(err.Error(), "256 MiB") {
		t.Errorf("error %v", err)
	}
	if got := tree(t, vm.home); len(got) > 0 {
		t.Errorf("on the VM: %q", got)
	}
}
