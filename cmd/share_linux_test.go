package cmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

// The process that keeps a connection holds keys: before it has read them, its
// memory is out of reach for other programs of the same user. The kernel then
// gives its files in /proc to root (proc(5)).
func TestSharingProcessHidesItsMemory(t *testing.T) {
	const nobody = 65534
	dir, err := os.MkdirTemp("/tmp", "vf") // the tests' own folders are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := exec.Command(copyOfProgram(t, dir), shareName, "--offline", "--keys-on-stdin", "--socket", filepath.Join(dir, "s"), "c8f9cadc-4c58-4eab-a847-df31723c7d16")
	c.Args[0], c.Dir, c.Env = "vers-fleet", "/", []string{"HOME=" + dir}
	owner := uint32(os.Geteuid())
	if owner == 0 {
		owner = nobody
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	stdin, err := c.StdinPipe() // no key comes, so it waits
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = c.Wait() }()
	environ := fmt.Sprintf("/proc/%d/environ", c.Process.Pid)
	for deadline := time.Now().Add(never); ; time.Sleep(10 * time.Millisecond) {
		i, err := os.Stat(environ)
		if err != nil {
			t.Fatal(err)
		}
		if i.Sys().(*syscall.Stat_t).Uid == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s belongs to user %d: its memory can be read", environ, owner)
		}
	}
}

// copyOfProgram is the program where every user can run it.
func copyOfProgram(t *testing.T, dir string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(dir, "vers-fleet")
	if err := executable.Write(path, from); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
