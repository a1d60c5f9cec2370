package sshdtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// setProcAttr ties the child's life to ours and, if isolate is set, gives it
// a mount namespace whose changes stay inside.
func setProcAttr(cmd *exec.Cmd, isolate bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if isolate {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
}

// canIsolate tells whether this process may make mount namespaces: root with
// CAP_SYS_ADMIN, which containers often lack.
func canIsolate(ctx context.Context) bool {
	if os.Geteuid() != 0 {
		return false
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "mount --bind /tmp /tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd.Run() == nil
}

// descendants lists the processes below pid, from /proc.
func descendants(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// "pid (name) state ppid ...": the name may hold spaces and brackets.
		head, tail, _ := strings.Cut(string(raw), " ")
		fields := strings.Fields(tail[strings.LastIndexByte(tail, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		child, _ := strconv.Atoi(head)
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], child)
	}
	var found []int
	for next := children[pid]; len(next) > 0; {
		found = append(found, next[0])
		next = append(next[1:], children[next[0]]...)
	}
	return found
}

func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is fine
	}
}
