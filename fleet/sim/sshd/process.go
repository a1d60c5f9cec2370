package sshd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// readyTimeout bounds sshd's start; it takes a few milliseconds unless the
// machine is badly overloaded.
const readyTimeout = 30 * time.Second

// process is one sshd listener.
type process struct {
	pid  int
	kill func() error
	done chan struct{} // closed when the listener is gone
}

// runSSHD starts sshd and returns once it listens.
func (s *Server) runSSHD(ctx context.Context, addr string) (*process, error) {
	sshd, err := findProgram("sshd")
	if err != nil {
		return nil, ErrMissing
	}
	text, err := s.config(addr)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.opt.Dir, "sshd_config")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	already := len(s.Log())
	args := []string{sshd, "-D", "-e", "-f", config}
	if s.Isolated {
		script, err := s.enterScript()
		if err != nil {
			return nil, err
		}
		args = append([]string{"/bin/sh", "-c", script, "sshd"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	setProcAttr(cmd, s.Isolated)
	proc, err := startOwned(cmd)
	if err != nil {
		return nil, err
	}
	if err := s.awaitListening(ctx, proc, already); err != nil {
		proc.stop()
		return nil, err
	}
	return proc, nil
}

// startOwned starts cmd from a thread that stays until cmd ends, because
// Linux ties the "parent died" signal to the starting thread.
func startOwned(cmd *exec.Cmd) (*process, error) {
	proc := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(proc.done)
		err := cmd.Start()
		if err == nil {
			proc.pid, proc.kill = cmd.Process.Pid, cmd.Process.Kill
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is killed in the end; its log says the rest
		}
	}()
	return proc, <-started
}

// awaitListening watches the log: probing the port would itself count as an
// unauthenticated connection.
func (s *Server) awaitListening(ctx context.Context, proc *process, already int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if strings.Contains(s.Log()[already:], "Server listening on") {
			return nil
		}
		select {
		case <-proc.done:
			return fmt.Errorf("sshd ended at once: %s", strings.TrimSpace(s.Log()[already:]))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), errors.New("sshd does not listen"))
		case <-tick.C:
		}
	}
}

// stop kills the listener and every session below it. Sessions are collected
// first: once the listener is gone, nothing leads to them.
func (p *process) stop() {
	sessions := descendants(p.pid)
	_ = p.kill() // an error says that it is gone already
	<-p.done
	killAll(sessions)
}
