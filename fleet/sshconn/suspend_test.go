//go:build linux

package sshconn

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshdtest"
)

// TestMain lets the test binary play a program with a session on its stdin.
func TestMain(m *testing.M) {
	if plan := os.Getenv("VERS_FLEET_TEST_SESSION"); plan != "" {
		os.Exit(playSession([]byte(plan)))
	}
	os.Exit(m.Run())
}

func playSession(plan []byte) int {
	var t Target
	if err := json.Unmarshal(plan, &t); err != nil {
		return 1
	}
	c, err := (&Dialer{}).Dial(context.Background(), t)
	if err != nil {
		return 2
	}
	err = c.Run(context.Background(), RunOptions{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Term: "xterm"})
	if err != nil {
		return 3
	}
	return 0
}

// ~^Z leaves a usable terminal behind, and the session goes on afterwards.
func TestSuspend(t *testing.T) {
	v := startVM(t, sshdtest.Options{})
	v.target.Endpoints = []Endpoint{{Network: NetworkTCP, Address: v.Addr}}
	plan, err := json.Marshal(v.target)
	if err != nil {
		t.Fatal(err)
	}
	s := openScreen(t)
	before := s.modes()
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(), "VERS_FLEET_TEST_SESSION="+string(plan))
	program.Stdin, program.Stdout, program.Stderr = s.tty, s.tty, s.tty
	program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Process.Kill(); _, _ = program.Process.Wait() }()
	soon(t, "raw mode", func() bool { return s.modes() != before })
	s.types("echo o''ne\r")
	s.shows("one\r\n")
	s.types("~\x1a")
	soon(t, "the program is stopped", func() bool {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(program.Process.Pid, &status, syscall.WNOHANG|syscall.WUNTRACED, nil)
		return err == nil && pid > 0 && status.Stopped()
	})
	if s.modes() != before {
		t.Error("the terminal is raw while the program is stopped")
	}
	if err := program.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	soon(t, "raw mode again", func() bool { return s.modes() != before })
	s.types("echo t''wo\r")
	s.shows("two\r\n")
	s.types("exit 0\r")
	if err := program.Wait(); err != nil {
		t.Fatal(err)
	}
	if s.modes() != before {
		t.Error("the terminal was not restored")
	}
}
