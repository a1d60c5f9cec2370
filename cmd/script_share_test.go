package cmd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptShare serves the script command share, about connections that are kept
// for later commands:
//
//	share dir        gives the script's program a folder for sockets
//	share ready VM   waits until commands borrow the connection to the VM
//	share kill       kills the processes that keep connections
//	share stop       stops them, as Ctrl-Z does
//	share count N    waits until there are exactly N such processes
//	share gone       waits until there is neither process nor socket
func scriptShare(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: share VERB [ARG]")
	}
	switch args[0] {
	case "dir":
		dir, err := os.MkdirTemp("", "vf") // short: the system limits a socket's path to about 100 bytes
		ts.Check(err)
		ts.Defer(func() { _ = os.RemoveAll(dir) })
		ts.Setenv("XDG_RUNTIME_DIR", dir)
	case "ready":
		await(ts, "a shared connection to "+args[1], func() bool {
			ts.Check(ts.Exec("vers-fleet", "-v", "ssh", args[1], "--", "true"))
			return strings.Contains(ts.ReadFile("stderr"), "using the shared connection")
		})
	case "stop":
		signalKeepers(ts, "STOP")
	case "kill":
		signalKeepers(ts, "KILL")
		await(ts, "no keeper", func() bool { return len(keepers(ts)) == 0 })
	case "count":
		await(ts, args[1]+" keepers", func() bool { return strconv.Itoa(len(keepers(ts))) == args[1] })
	case "gone":
		await(ts, "no keeper and no socket", func() bool {
			sockets, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "vers-fleet", "*"))
			ts.Check(err)
			return len(sockets) == 0 && len(keepers(ts)) == 0
		})
	default:
		ts.Fatalf("unknown verb: share %s", args[0])
	}
}

func signalKeepers(ts *testscript.TestScript, name string) {
	for _, pid := range keepers(ts) {
		ts.Check(ts.Exec("sh", "-c", "kill -"+name+" "+strconv.Itoa(pid)))
	}
}

func await(ts *testscript.TestScript, what string, ok func() bool) {
	deadline := time.Now().Add(never)
	for !ok() {
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// keepers are the processes that keep connections for this script.
func keepers(ts *testscript.TestScript) (pids []int) {
	sockets := filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "vers-fleet") + "/"
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			ts.Fatalf("%v", err)
		}
		if bytes.Contains(line, []byte(shareName)) && bytes.Contains(line, []byte(sockets)) {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			ts.Check(err)
			pids = append(pids, pid)
		}
	}
	return pids
}
