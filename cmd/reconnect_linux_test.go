package cmd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// person sits before a terminal in which the program runs.
type person struct {
	t     *testing.T
	ptmx  *os.File
	cmd   *exec.Cmd
	from  int           // what the screen showed before it was last looked at
	read  chan struct{} // closed when the screen shows nothing more
	ended chan struct{} // closed when the program has ended

	mu   sync.Mutex
	text strings.Builder // guarded by mu: shown gives it
}

// shown is all that the screen has shown.
func (p *person) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// sit runs the program on a terminal of its own.
func sit(t *testing.T, env []string, args ...string) *person {
	t.Helper()
	p := &person{t: t, cmd: exec.Command("vers-fleet", args...)}
	p.cmd.Env = env
	p.sit(&pty.Winsize{Rows: 24, Cols: 200})
	return p
}

// sit starts the person's program on a terminal of this size.
func (p *person) sit(size *pty.Winsize) {
	p.t.Helper()
	ptmx, err := pty.StartWithSize(p.cmd, size)
	if err != nil {
		p.t.Fatal(err)
	}
	p.ptmx, p.read, p.ended = ptmx, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = ptmx.Close()
		<-p.ended
	})
	go func() {
		defer close(p.read)
		b := make([]byte, 64<<10)
		for {
			n, err := ptmx.Read(b)
			p.mu.Lock()
			p.text.Write(b[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

// sees waits until the screen shows want, after what was seen last.
func (p *person) sees(want string) {
	p.t.Helper()
	deadline := time.Now().Add(never)
	for {
		all := p.shown()
		if i := strings.Index(all[p.from:], want); i >= 0 {
			p.from += i + len(want)
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the screen never showed %q, but:\n%s", want, all[p.from:])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := p.ptmx.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// raw reports whether what is typed goes to the VM untouched.
func (p *person) raw() bool {
	tio, err := unix.IoctlGetTermios(int(p.ptmx.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return tio.Lflag&unix.ICANON == 0
}

// exits waits for the program's end, and for its last words.
func (p *person) exits(want int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(never):
		p.t.Fatal("the program does not end")
	}
	select {
	case <-p.read:
	case <-time.After(5 * time.Second): // a child of the program may hold the terminal
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Fatalf("exit code %d, want %d\n%s", got, want, p.shown())
	}
}

func simEnv(t *testing.T, s *sim.Sim) []string {
	t.Helper()
	env := append(s.Env(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"), "TERM=xterm", "VERS_FLEET_SSH_SHARE=off", "NO_COLOR=1",
		"VERS_FLEET_RETRY_MAX_ELAPSED=1s")
	for _, args := range [][]string{{"vms"}, {"keys", "sync"}} { // which waits for the host keys of all
		c := exec.Command("vers-fleet", args...)
		c.Env = env
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	return env
}

// A session comes back after a cut and while the API is down, and tells so.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := sit(t, simEnv(t, s), "ssh", "-v", "--reconnect", "marketing")
	p.sees("neither tmux nor screen")
	p.types("echo one-$((1+1))\r")
	p.sees("one-2")
	s.CutConnections()
	p.sees("connection to marketing lost (it was cut)")
	p.sees("connected to marketing again after")
	p.sees("fresh shell")
	p.types("echo two-$((1+1))\r")
	p.sees("two-2")

	// Neither the VM nor the API answers for a while.
	for _, kind := range []string{"503", "gateway-down"} {
		f, err := sim.ParseFault([]string{kind})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetFault(f); err != nil {
			t.Fatal(err)
		}
	}
	s.CutConnections()
	p.sees("attempt 2 failed")
	if p.raw() {
		t.Error("the terminal is raw while nobody reads it")
	}
	p.types("echo blind\r")
	s.ClearFaults()
	p.sees("connected to marketing again")
	p.types("echo three-$((1+1))\r")
	p.sees("three-2")
	p.types("exit 7\r")
	p.exits(7)
}

// Ctrl-C ends the waiting.
func TestReconnectInterrupted(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := sit(t, simEnv(t, s), "ssh", "--reconnect", "marketing")
	p.types("echo one-$((1+1))\r")
	p.sees("one-2")
	f, err := sim.ParseFault([]string{"gateway-down"})
	if err == nil {
		err = s.SetFault(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.CutConnections()
	p.sees("reconnecting to marketing: ")
	p.types("\x03")
	p.exits(exitInterrupted)
	if p.raw() {
		t.Error("the terminal was left raw")
	}
}

// The shell lives on in tmux or screen, with what was in it, and the person is
// told what happened. The API is dead all the while.
func TestReconnectIntoKeeper(t *testing.T) {
	t.Parallel()
	t.Run("tmux", func(t *testing.T) { reconnectInto(t, "tmux", "", "vers-fleet: connected again after") })
	t.Run("screen", func(t *testing.T) { reconnectInto(t, "screen", "", "connected to marketing again after") })
	// csh reads none of what sh is told.
	t.Run("tmux, tcsh", func(t *testing.T) { reconnectInto(t, "tmux", "tcsh", "vers-fleet: connected again after") })
}

func reconnectInto(t *testing.T, keeper, shell, told string) {
	t.Parallel()
	path, err := exec.LookPath(keeper)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if shell != "" {
		if shell, err = exec.LookPath(shell); err != nil {
			t.Skip(err)
		}
	}
	platform := simtest.Start(t, sim.Config{Guest: sim.GuestSSHD, Still: true,
		SSHD: sshd.Options{Shell: shell, Config: []string{"SetEnv PATH=/root/bin"}}})
	vm := platform.VM("marketing")
	bin := filepath.Join(vm.Root(), "root", "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{path, "/bin/sh", "/bin/grep", "/bin/sleep", "/usr/bin/infocmp"} {
		if err := os.Symlink(tool, filepath.Join(bin, filepath.Base(tool))); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	env := append(platform.Env(), "VERS_FLEET_HOME="+filepath.Join(dir, "state"), "HOME="+dir, "PATH="+os.Getenv("PATH"), "TERM=xterm-256color", "VERS_FLEET_SSH_SHARE=off")
	list := exec.Command("vers-fleet", "vms")
	list.Env = env
	if out, err := list.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := platform.SetFault(sim.Fault{Kind: "503"}); err != nil {
		t.Fatal(err)
	}
	p := sit(t, env, "ssh", "--reconnect", "marketing")
	if keeper == "screen" { // the server of a new one is a child of the session, and dies with it as in a restart
		p.types("echo zero-$((1+1))\r")
		p.sees("zero-2")
		if err := vm.DropSessions(); err != nil {
			t.Fatal(err)
		}
		p.sees("fresh shell: the screen session is gone")
	}
	if shell != "" {
		p.types("exec sh\r")
	}
	p.types("export KEPT=still; echo one-$((1+1))\r")
	p.sees("one-2")
	platform.CutConnections()
	p.sees("\x1b[?1049l") // the screen is the person's again, to read this
	p.sees("connection to marketing lost")
	p.sees(told)
	p.types("echo $KEPT-here-$((1+1))\r")
	p.sees("still-here-2")
	p.types("exit\r")
	p.exits(0)
}
