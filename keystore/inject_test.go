package keystore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// needTool skips without a tool, and fails where CI promises it.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing", name)
	}
	return path
}

// straced runs `once what` under strace and returns its exit code and the log
// between its two marks.
func straced(t *testing.T, dir, what string, options ...string) (int, []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := childCommand(append([]string{"strace", "-f", "-o", log}, options...), "once", dir, what)
	cmd.Stderr = io.Discard
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	must(t, err)
	_, rest, began := strings.Cut(string(data), "vers-fleet-test-begin")
	if !began {
		if strings.Contains(string(data), "INJECTED") {
			return -1, nil
		}
		t.Skip("strace may not trace here")
	}
	body, _, _ := strings.Cut(rest, "vers-fleet-test-end")
	return cmd.ProcessState.ExitCode(), strings.Split(body, "\n")
}

// injectStore makes the store that the child finds.
func injectStore(t *testing.T) *Store {
	t.Helper()
	s := newTest(t)
	mustPut(t, s, testID(1), testPEM("zeroth"))
	must(t, s.Proved(testID(1), testPublic(t, testPEM("zeroth")), Endpoint{}, testHostKey("first"), true))
	mustPut(t, s, testID(1), testPEM("first"))
	must(t, s.Doc("names").Update(t.Context(), func([]byte) ([]byte, error) { return []byte("old"), nil }))
	return s
}

// stateOf tells whether the child's work is there; anything but the whole old
// or the whole new state fails the test.
func stateOf(t *testing.T, dir, what, context string) (isNew bool) {
	t.Helper()
	s := openTest(t, dir, testOptions())
	defer wantClean(t, dir)
	key := func(id string) string {
		k, err := s.key(id)
		if err != nil && !IsNotFound(err) {
			t.Fatalf("%s: %v", context, err)
		}
		return string(k)
	}
	first := key(testID(1))
	switch what {
	case "new":
		k := key(testID(7))
		if k != "" && k != string(testPEM("new")) {
			t.Fatalf("%s: the new VM has a wrong key", context)
		}
		isNew = k != ""
	case "change":
		isNew = first == string(testPEM("second"))
		if c, err := s.Candidates(testID(1)); isNew && (err != nil || len(c) != 2) {
			t.Fatalf("%s: the predecessor is lost: %v", context, err)
		}
	case "pin":
		rec, err := s.Record(testID(1))
		must(t, err)
		isNew = len(rec.HostKeys) == 2
		if len(rec.HostKeys) < 1 || rec.HostKeys[0].Key != testHostKey("first") {
			t.Fatalf("%s: a pinned host key is lost", context)
		}
	case "doc":
		data, err := s.Doc("names").Read()
		if err != nil || string(data) != "old" && string(data) != "new" {
			t.Fatalf("%s: doc %q, %v", context, data, err)
		}
		isNew = string(data) == "new"
	}
	if first != string(testPEM("first")) && !(what == "change" && isNew) {
		t.Fatalf("%s: the recorded key is lost", context)
	}
	return isNew
}

// TestInjectedFailures fails every file operation of a write once.
func TestInjectedFailures(t *testing.T) {
	needTool(t, "strace")
	if runtime.GOOS != "linux" {
		t.Skip("strace is Linux only")
	}
	whats, codes := []string{"change"}, []string{"ENOSPC"}
	if torture(0, 1) == 1 {
		whats, codes = []string{"new", "change", "pin", "doc"}, []string{"ENOSPC", "EIO", "EDQUOT"}
	}
	calls := []string{"openat", "write", "fsync", "renameat", "fchmod", "fchmodat", "mkdirat", "unlinkat", "close", "flock", "newfstatat", "read", "getdents64"}
	runs, honest := 0, 0
	for _, what := range whats {
		for _, call := range calls {
			before, total := countCalls(t, what, call)
			if torture(0, 1) == 0 && (call == "newfstatat" || call == "read" || call == "close") {
				continue
			}
			for n := before + 1; n <= total; n++ {
				for _, code := range codes {
					if injectOne(t, what, call, code, n) {
						honest++
					}
					runs++
				}
			}
		}
	}
	t.Logf("%d failures injected, %d of them reported", runs, honest)
	if honest == 0 {
		t.Fatal("no injected failure was reported: the test does not test")
	}
}

// countCalls returns how often the child's thread makes a system call before
// the first mark and up to the second.
func countCalls(t *testing.T, what, call string) (before, total int) {
	t.Helper()
	s := injectStore(t)
	log := filepath.Join(t.TempDir(), "log")
	cmd := childCommand([]string{"strace", "-f", "-o", log, "-e", "trace=newfstatat," + call}, "once", s.Dir(), what)
	must(t, cmd.Run())
	data, err := os.ReadFile(log)
	must(t, err)
	head, rest, _ := strings.Cut(string(data), "vers-fleet-test-begin")
	thread := strings.Fields(head[strings.LastIndex(head, "\n")+1:])[0]
	body, _, _ := strings.Cut(rest, "vers-fleet-test-end")
	count := func(text string) (n int) {
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == thread && strings.HasPrefix(f[1], call+"(") {
				n++
			}
		}
		return n
	}
	before = count(head)
	return before, before + count(body)
}

func injectOne(t *testing.T, what, call, code string, n int) (reported bool) {
	t.Helper()
	s := injectStore(t)
	context := fmt.Sprintf("%s: %s number %d fails with %s", what, call, n, code)
	exit, log := straced(t, s.Dir(), what, "-e", "trace=newfstatat,"+call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", call, code, n))
	if !strings.Contains(strings.Join(log, "\n"), "INJECTED") {
		return false // it hit the run-time system, outside the marks
	}
	isNew := stateOf(t, s.Dir(), what, context)
	switch {
	case exit == 0 && !isNew:
		t.Fatalf("%s: success was claimed, but nothing was written\n%s", context, strings.Join(log, "\n"))
	case exit == childFull && code == "EIO", exit == childIO && code != "EIO", exit == childOdd:
		t.Fatalf("%s: exit code %d names another reason", context, exit)
	}
	return exit != 0
}

// TestOrderOnDisk proves from the log of system calls that every file is
// synced before it is renamed, and its folder after it.
func TestOrderOnDisk(t *testing.T) {
	needTool(t, "strace")
	for _, what := range []string{"new", "change", "pin", "doc"} {
		s := injectStore(t)
		exit, log := straced(t, s.Dir(), what, "-y", "-e", "trace=newfstatat,openat,write,fsync,renameat")
		if exit != 0 {
			t.Fatalf("%s: exit %d", what, exit)
		}
		written, folder := map[string]bool{}, map[string]bool{} // not synced yet
		renames := 0
		for _, line := range log {
			switch {
			case strings.Contains(line, " write("):
				written[between(line, "<", ">")] = true
			case strings.Contains(line, " fsync("):
				delete(written, between(line, "<", ">"))
				delete(folder, between(line, "<", ">"))
			case strings.Contains(line, " renameat("):
				renames++
				from := between(line, `"`, `"`)
				if written[from] {
					t.Fatalf("%s: renamed before it was synced: %s", what, line)
				}
				folder[filepath.Dir(from)] = true
			}
		}
		if renames == 0 || len(folder) > 0 || len(written) > 0 {
			t.Fatalf("%s: %d renames; not synced at the end: %v %v", what, renames, folder, written)
		}
	}
}

func between(s, open, end string) string {
	_, s, _ = strings.Cut(s, open)
	s, _, _ = strings.Cut(s, end)
	return s
}
