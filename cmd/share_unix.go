//go:build unix

package cmd

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/fleet/access"
)

// startShare starts the process that keeps a connection. It belongs to no
// terminal and holds nothing of its caller's open: a shell that waits for the
// end of this command's output must not wait for it.
func (e *Env) startShare(s *settings.Settings, environment []string, b access.Background) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	keys, err := json.Marshal(b.Keys)
	if err != nil || len(keys) > maxShareKeys {
		return errors.Join(err, errors.New("the key is too large to hand over"))
	}
	stdin, handOver, err := os.Pipe()
	if err != nil {
		return err
	}
	defer handOver.Close()
	defer stdin.Close()
	c := exec.Command(program, shareName, "--offline", "--profile", s.Profile, "--keys-on-stdin", "--socket", b.Socket, b.VMID)
	c.Args[0] = "vers-fleet"
	c.Env, c.Dir, c.Stdin = environment, "/", stdin // stdout and stderr: /dev/null
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }() // it usually lives longer than this process
	_, err = handOver.Write(keys)
	e.Streams.Debugf("process %d keeps a connection for later commands, until unused for %s", c.Process.Pid, s.Share)
	return err
}

// closeInherited closes files that the shell had open for the command which
// started this process, such as the lock of a script. Files of this process's
// own are marked to be closed on exec; inherited ones cannot be.
func closeInherited() {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}
