package sshd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// own are the namespaces of a server: what it mounts, its processes and its
// name stay inside, and the end of the first process is the end of all.
func own(attr *syscall.SysProcAttr) {
	attr.Unshareflags = syscall.CLONE_NEWNS // Go makes its mounts private only here
	attr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS
}

// setProcAttr ties the child's life to ours and, if isolate is set, gives it
// namespaces of its own.
func setProcAttr(cmd *exec.Cmd, isolate bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if isolate {
		own(cmd.SysProcAttr)
	}
}

// canIsolate tells whether this process may make namespaces and mount in them:
// root with CAP_SYS_ADMIN, which containers often lack.
func canIsolate(ctx context.Context) bool {
	if os.Geteuid() != 0 {
		return false
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "mount -t proc proc /proc && mount --bind /tmp /tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	own(cmd.SysProcAttr)
	return cmd.Run() == nil
}

// child is a process and its name.
type child struct {
	pid  int
	name string
}

// children lists the processes of this machine by their parent, from /proc.
func children() map[int][]child {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	of := map[int][]child{}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// "pid (name) state ppid ...": the name may hold spaces and brackets.
		head, tail, _ := strings.Cut(string(raw), " (")
		end := strings.LastIndexByte(tail, ')')
		if end < 0 {
			continue
		}
		fields := strings.Fields(tail[end+1:])
		if len(fields) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(head)
		parent, _ := strconv.Atoi(fields[1])
		of[parent] = append(of[parent], child{pid, tail[:end]})
	}
	return of
}

// descendants lists the processes below pid.
func descendants(pid int) []int { return allBelow(children(), pid) }

func allBelow(of map[int][]child, pid int) (found []int) {
	for next := of[pid]; len(next) > 0; {
		found = append(found, next[0].pid)
		next = append(next[1:], of[next[0].pid]...)
	}
	return found
}

// sessions lists the processes of all logins at the sshd with this pid; the
// agent and what a session left behind are not among them.
func sessions(pid int) (found []int) {
	of := children()
	for _, c := range of[pid] {
		if strings.HasPrefix(c.name, "sshd") {
			found = append(append(found, c.pid), allBelow(of, c.pid)...)
		}
	}
	return found
}

func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is fine
	}
}

// FIFO makes a FIFO and opens it so that writers always find a reader.
func FIFO(path string) (*os.File, error) {
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}
