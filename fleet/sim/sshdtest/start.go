package sshdtest

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Start launches a server for one test and stops it at the test's end. On a
// machine without the needed programs the test is skipped, or failed when the
// variable CI is "true". The end of sshd's log is shown if the test fails.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.LogTo == nil {
		o.LogTo = t.Output()
	}
	s, err := Launch(context.WithoutCancel(t.Context()), o)
	if err != nil {
		Missing(t, err)
		t.Fatalf("starting sshd: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of sshd %s:\n%s", s.Name, tail(s.Log(), 4000))
		}
		s.Stop()
	})
	return s
}

// Missing skips the test if err says that the machine lacks a program, and
// fails it instead under CI=true. Other errors are left to the caller.
func Missing(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, ErrMissing) && !errors.Is(err, ErrNoBusybox) && !errors.Is(err, ErrNoSFTPServer) {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true needs it: %v", err)
	}
	t.Skipf("left out: %v", err)
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}
