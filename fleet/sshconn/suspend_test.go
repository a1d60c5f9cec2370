//go:build linux

package sshconn

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// TestMain lets the test binary play a program with a session on its stdin.
func TestMain(m *testing.M) {
	if plan := os.Getenv("VERS_FLEET_TEST_SESSION"); plan != "" {
		os.Exit(playSession([]byte(plan)))
	}
	m.Run()
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
	var stderr io.Writer = os.Stderr
	if os.Getenv("VERS_FLEET_TEST_PANIC") != "" {
		stderr = writerFunc(func([]byte) (int, error) { panic("a bug") })
	}
	err = c.Run(context.Background(), RunOptions{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: stderr, Term: "xterm"})
	if err != nil {
		return 3
	}
	return 0
}

// startProgram runs a session in a process of its own on the terminal.
func startProgram(t *testing.T, s *screen, env ...string) *exec.Cmd {
	t.Helper()
	v := startVM(t, sshd.Options{})
	v.target.Endpoints = []Endpoint{{Network: NetworkTCP, Address: v.Addr}}
	plan, err := json.Marshal(v.target)
	if err != nil {
		t.Fatal(err)
	}
	program := exec.Command(os.Args[0])
	program.Env = append(append(os.Environ(), "VERS_FLEET_TEST_SESSION="+string(plan)), env...)
	program.Stdin, program.Stdout, program.Stderr = s.tty, s.tty, s.tty
	program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Process.Kill(); _, _ = program.Process.Wait() })
	return program
}

// A bug in the middle of a session does not leave the terminal raw.
func TestPanicRestoresTerminal(t *testing.T) {
	s := openScreen(t)
	before := s.modes()
	program := startProgram(t, s, "VERS_FLEET_TEST_PANIC=1")
	soon(t, "raw mode", func() bool { return s.modes() != before })
	s.types("~?")
	if err := program.Wait(); err == nil || program.ProcessState.ExitCode() != 2 {
		t.Errorf("%v, %s", err, program.ProcessState)
	}
	s.shows("panic: a bug")
	if s.modes() != before {
		t.Error("the terminal was not restored")
	}
}

// ~^Z leaves a usable terminal behind, and the session goes on afterwards.
func TestSuspend(t *testing.T) {
	s := openScreen(t)
	before := s.modes()
	program := startProgram(t, s)
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
