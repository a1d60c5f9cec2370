package sshconn

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// A server that gives no terminal is used without, as OpenSSH does.
func TestTerminalRefused(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{Config: []string{"PermitTTY no"}}).dial(t)
	for _, quiet := range []bool{false, true} {
		var out, errOut bytes.Buffer
		err := c.Run(t.Context(), RunOptions{Command: "tty; cat; exit 7", TTY: TTYForce, Term: "xterm", Quiet: quiet,
			Stdin: strings.NewReader("typed\n"), Stdout: &out, Stderr: &errOut})
		var exit *ExitError
		if !errors.As(err, &exit) || exit.Status != 7 || out.String() != "not a tty\ntyped\n" {
			t.Errorf("%v: %q %q", err, out.String(), errOut.String())
		}
		if want := "PTY allocation request failed on channel 0\n"; !quiet && errOut.String() != want || quiet && errOut.Len() > 0 {
			t.Errorf("quiet %t: stderr is %q", quiet, errOut.String())
		}
	}
}

// A server without an algorithm that counts as safe today: the error names the
// class and what either side has, and trying again is no use.
func TestNoCommonAlgorithm(t *testing.T) {
	noLeaks(t)
	for _, c := range []struct{ config, class, option, theirs string }{
		{"KexAlgorithms diffie-hellman-group14-sha1", "key exchange", "KexAlgorithms", "diffie-hellman-group14-sha1"},
		{"Ciphers aes256-cbc", "cipher", "Ciphers", "aes256-cbc"},
		{"MACs hmac-sha1\nCiphers aes256-ctr", "MAC", "MACs", "hmac-sha1"},
	} {
		v := startVM(t, sshd.Options{Config: strings.Split(c.config, "\n")})
		conn, err := v.dialer.Dial(t.Context(), v.target)
		if err == nil {
			_ = conn.Close()
		}
		var e *Error
		var a *AlgorithmError
		if !errors.As(err, &e) || !errors.As(err, &a) {
			t.Errorf("%s: %v", c.config, err)
			continue
		}
		if e.Stage != StageKEX || e.Transient() || a.Class != c.class || a.Option != c.option || !strings.Contains(err.Error(), c.theirs) || len(err.Error()) > 400 {
			t.Errorf("%s: %v (transient %t, option %s)", c.config, err, e.Transient(), a.Option)
		}
	}
}

// With MaxSessions 1 one command after the other works: sshd counts a session
// until its channel is closed from here too, which the next one waits for.
func TestOneSessionAtATime(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{MaxSessions: 1}).dial(t)
	for n := range 40 {
		if err := c.Exec(within(t, 20e9), "true", nil, nil, nil); err != nil {
			t.Fatalf("command %d: %v", n, err)
		}
	}
	sub, err := c.OpenSubsystem(t.Context(), "sftp")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(within(t, 20e9), "true", nil, nil, nil); !errors.Is(err, ErrSessionLimit) {
		t.Errorf("beside an open session: %v", err)
	}
	_ = sub.Close()
	if err := c.Exec(within(t, 20e9), "true", nil, nil, nil); err != nil {
		t.Errorf("after it was closed: %v", err)
	}
}
