package box

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// newMachine makes a VM with the folders that commands expect.
func newMachine(t *testing.T) *Machine {
	t.Helper()
	fsys, err := NewFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fsys.Close() })
	err = errors.Join(fsys.Devices(), fsys.MkdirAll("/root", 0o700), fsys.MkdirAll("/tmp", 0o777), fsys.MkdirAll("/etc", 0o755),
		fsys.WriteFile("/etc/hostname", []byte("vm1\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	return &Machine{FS: fsys, Hostname: "vm1", Started: time.Now()}
}

// sh runs a command line and returns what it printed and its status.
func sh(t *testing.T, m *Machine, command string, stdin ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	status = m.run(ctx, job{command: command, stdin: strings.NewReader(strings.Join(stdin, "")), stdout: &out, stderr: &errOut})
	if ctx.Err() != nil {
		t.Fatalf("%q did not end", command)
	}
	return out.String(), errOut.String(), status
}

// expect runs a command that must succeed and print exactly want.
func expect(t *testing.T, m *Machine, command, want string, stdin ...string) {
	t.Helper()
	out, errOut, status := sh(t, m, command, stdin...)
	if status != 0 || out != want || errOut != "" {
		t.Errorf("%q: status %d\n got %q\nwant %q\nstderr %q", command, status, out, want, errOut)
	}
}
