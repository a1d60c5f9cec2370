package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// program is vers-fleet as a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Args = append([]string{"vers-fleet"}, args...)
	home := t.TempDir()
	c.Env = append(os.Environ(), "HOME="+home, "USERPROFILE="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "GORACE=atexit_sleep_ms=10")
	return c
}

func TestClosedPipeIsQuiet(t *testing.T) {
	for _, args := range [][]string{{"config", "view"}, {"help", "environment"}, {"completion", "bash"}, {"version", "-o", "json"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		c := program(t, args...)
		var stderr bytes.Buffer
		c.Stdout, c.Stderr = w, &stderr
		err = c.Run()
		w.Close()
		if err != nil || stderr.Len() > 0 {
			t.Errorf("%v: %v, stderr %q", args, err, &stderr)
		}
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no way to send a process an interrupt")
	}
	c := program(t, "config", "set", "api_key", "-", "-v")
	if _, err := c.StdinPipe(); err != nil { // nothing ever comes
		t.Fatal(err)
	}
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stderr := bufio.NewReader(pipe)
	if line, err := stderr.ReadString('\n'); err != nil { // it waits for stdin now
		t.Fatalf("%v after %q", err, line)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupted || string(rest) != "vers-fleet: interrupted\n" {
		t.Errorf("exit code %d, stderr %q", code, rest)
	}
}

func remoteExit(status int) error {
	return &remote.RemoteStatus{Status: status, Err: fmt.Errorf("status %d", status)}
}

func TestExitCodes(t *testing.T) {
	local := func(k problem.Kind) error { return &problem.Error{Kind: k, What: "x", Origin: problem.OriginLocal} }
	for _, c := range []struct {
		name   string
		err    error
		code   int
		kind   string
		silent bool
	}{
		{"unexpected", errors.New("x"), 1, "unexpected", false},
		{"usage", local(problem.Usage), 2, "usage", false},
		{"not found", local(problem.NotFound), 3, "not_found", false},
		{"ambiguous", local(problem.Ambiguous), 3, "ambiguous", false},
		{"auth", local(problem.Auth), 4, "auth", false},
		{"unavailable", local(problem.Unavailable), 5, "unavailable", false},
		{"unreachable", local(problem.Unreachable), 6, "unreachable", false},
		{"login refused", local(problem.LoginRefused), 6, "login_refused", false},
		{"partial", local(problem.Partial), 7, "partial", false},
		{"identity", local(problem.Identity), 8, "identity", false},
		{"storage", local(problem.Storage), 9, "storage", false},
		{"queued", local(problem.Queued), 75, "queued", false},
		{"interrupted", local(problem.Interrupted), 130, "interrupted", false},
		{"cancelled", fmt.Errorf("x: %w", context.Canceled), 130, "interrupted", false},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), 5, "unavailable", false},
		{"wrapped", fmt.Errorf("x: %w", local(problem.Identity)), 8, "identity", false},
		{"remote command", ownFailure(remoteExit(42)), 42, "remote_exit", true},
		{"remote command, wrapped", ownFailure(fmt.Errorf("x: %w", remoteExit(3))), 3, "remote_exit", true},
		{"remote helper of ours", &problem.Error{Kind: problem.Partial, Origin: problem.OriginRemote, Err: remoteExit(3)}, 7, "partial", false},
		{"ssh's own", ownFailure(local(problem.Unreachable)), 255, "unreachable", false},
		{"ssh misused", ownFailure(local(problem.Usage)), 2, "usage", false},
		{"ssh interrupted", ownFailure(context.Canceled), 130, "interrupted", false},
	} {
		v, silent := view(c.err)
		if v.ExitCode != c.code || v.Kind != c.kind || silent != c.silent {
			t.Errorf("%s: code %d, kind %s, silent %v; want %d, %s, %v", c.name, v.ExitCode, v.Kind, silent, c.code, c.kind, c.silent)
		}
	}
	if ownFailure(nil) != nil {
		t.Error("ownFailure(nil) is an error")
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		args []string
		mode outage.Mode
		wait time.Duration
	}{
		{nil, outage.Auto, 0},
		{[]string{"--offline"}, outage.Offline, 0},
		{[]string{"--live"}, outage.Live, 0},
		{[]string{"--wait"}, outage.Wait, 0},
		{[]string{"--wait=90s"}, outage.Wait, 90 * time.Second},
	} {
		s, _ := ui.Fake(false, 0)
		e := NewEnv(s, func(string) string { return "" }, append([]string{"version"}, c.args...))
		if code := Run(t.Context(), e); code != exitOK {
			t.Fatalf("%v: exit code %d", c.args, code)
		}
		if mode, wait := e.Mode(); mode != c.mode || wait != c.wait {
			t.Errorf("%v: mode %v for %v", c.args, mode, wait)
		}
	}
}

// Every exit code is in the documentation.
func TestExitCodesAreDocumented(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "exit-codes.md"))
	if err != nil {
		t.Fatal(err)
	}
	codes := string(b)
	for _, m := range exitTable() {
		if !strings.Contains(codes, m.Meaning) {
			t.Errorf("docs/exit-codes.md does not say %d: %s", m.Code, m.Meaning)
		}
	}
}

// What other tools call it leads to what it is called here, and to nothing else.
func TestSuggest(t *testing.T) {
	root := Tree()
	keys, _, err := root.Find([]string{"keys"})
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]string{
		"cp": "did you mean: vers-fleet pull, or vers-fleet push", "scp": "did you mean: vers-fleet pull, or vers-fleet push",
		"ls": "did you mean: vers-fleet vms", "logs": "did you mean: vers-fleet output", "shell": "did you mean: vers-fleet ssh",
		"run": "did you mean: vers-fleet exec, or vers-fleet ssh", "create": "did you mean: vers-fleet branch",
		"rm": "no command deletes a VM; to stop one: vers-fleet pause", "delete": "no command deletes a VM; to stop one: vers-fleet pause",
		"json": "JSON is a form of every answer, as in: vers-fleet vms -o json", "vmz": "did you mean: vers-fleet vms", "xy": "", "top": "",
	} {
		if got := suggest(root, word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	for word, want := range map[string]string{"rm": "did you mean: vers-fleet keys remove", "ls": "did you mean: vers-fleet keys list", "cp": "", "json": ""} {
		if got := suggest(keys, word); got != want {
			t.Errorf("keys %s: %q, want %q", word, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"vmz": "vms", "statsu": "status", "xyzzy": "", "": "", "api_ulr": "api_url", "vsm": "vms"} {
		if got := nearest(word, []string{"sim", "vms", "status", "pull", "api_url", "api_key"}); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
