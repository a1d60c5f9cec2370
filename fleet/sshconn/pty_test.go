//go:build linux || darwin

package sshconn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// screen is a terminal with a person in front of it.
type screen struct {
	t    *testing.T
	ptmx *os.File // the person's side
	tty  *os.File // the program's side
	mu   sync.Mutex
	text strings.Builder
}

func openScreen(t *testing.T) *screen {
	t.Helper()
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, ptmx: ptmx, tty: tty}
	t.Cleanup(func() { _ = tty.Close(); _ = ptmx.Close() })
	s.resize(80, 24)
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := ptmx.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.text.Write(b[:n])
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *screen) resize(columns, rows uint16) {
	if err := pty.Setsize(s.ptmx, &pty.Winsize{Cols: columns, Rows: rows, X: columns * 9, Y: rows * 18}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) shows(want string) {
	s.t.Helper()
	soon(s.t, "the screen shows "+want, func() bool { return strings.Contains(s.content(), want) })
}

func (s *screen) content() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) types(text string) {
	s.t.Helper()
	if _, err := s.ptmx.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) modes() unix.Termios {
	s.t.Helper()
	raw, err := s.tty.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	var tio *unix.Termios
	if e := raw.Control(func(fd uintptr) { tio, err = unix.IoctlGetTermios(int(fd), getTermios) }); e != nil || err != nil {
		s.t.Fatal(e, err)
	}
	return *tio
}

// start runs a command on a terminal and returns how it ended.
func (s *screen) start(c *Conn, o RunOptions) <-chan error {
	o.Stdin, o.Stdout, o.Stderr = s.tty, s.tty, s.tty
	if o.Command != "" {
		o.TTY = TTYRequest
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(s.t.Context(), o) }()
	return ended
}

func TestTerminalSession(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{Config: []string{"AcceptEnv LANG LC_*"}}).dial(t)
	s := openScreen(t)
	before := s.modes()
	ended := s.start(c, RunOptions{Term: "xterm-256color", Env: map[string]string{"LC_TEST": "ä", "FORBIDDEN": "x"},
		Command: `stty size; echo "T=$TERM L=$LC_TEST F=$FORBIDDEN"; trap 'stty size' WINCH; trap 'echo interrupted; exit 7' INT; echo up; while :; do sleep 0.05; done`})
	s.shows("24 80")
	s.shows("T=xterm-256color L=ä F=\r\n")
	s.shows("up")
	if s.modes() == before {
		t.Error("the terminal is not in raw mode")
	}
	s.resize(132, 43)
	_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	s.shows("43 132")
	s.types("\x03")
	s.shows("interrupted")
	var exit *ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Status != 7 {
		t.Fatal(err)
	}
	s.shows("Connection to marketing closed.")
	if s.modes() != before {
		t.Error("the terminal was not restored")
	}
}

func TestTerminalRestored(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	for name, end := range map[string]func(*Conn, *screen, context.CancelFunc){
		"connection lost": func(c *Conn, _ *screen, _ context.CancelFunc) { _ = c.wire.raw.Close() },
		"VM crashed":      func(*Conn, *screen, context.CancelFunc) { v.DropSessions() },
		"cancelled":       func(_ *Conn, _ *screen, cancel context.CancelFunc) { cancel() },
		"escape":          func(_ *Conn, s *screen, _ context.CancelFunc) { s.types("\r~.") },
		"logout":          func(_ *Conn, s *screen, _ context.CancelFunc) { s.types("exit 3\r") },
	} {
		t.Run(name, func(t *testing.T) {
			c := v.dial(t)
			s := openScreen(t)
			before := s.modes()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			raw := make(chan struct{})
			go func() {
				ended <- c.Run(ctx, RunOptions{Stdin: s.tty, Stdout: s.tty, Stderr: s.tty, Term: "xterm", OnRaw: func(func()) { close(raw) }})
			}()
			<-raw
			s.types("echo re''ady\r")
			s.shows("ready\r\n")
			end(c, s, cancel)
			if err := <-ended; err == nil {
				t.Error("ended without an error")
			}
			if s.modes() != before {
				t.Error("the terminal was not restored")
			}
		})
	}
}

func TestTerminalEscapes(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	s := openScreen(t)
	ended := s.start(c, RunOptions{Term: "xterm", Command: "stty -echo; echo up; cat"})
	s.shows("up")
	s.types("\r~?")
	s.shows("Supported escape sequences")
	s.types("\r~C")
	s.shows("ssh> ")
	s.types("-L 127.0.0.1:0:localhost:9\r")
	s.shows("Forwarding -L")
	s.types("\r~#")
	s.shows("(0 connections)")
	s.types("\rx~~y~.\r~~tilde\r")
	s.shows("x~~y~.")
	s.shows("~tilde")
	s.types("~.")
	if err := <-ended; !errors.Is(err, ErrDisconnected) {
		t.Fatal(err)
	}
}

// A connection that other sessions share takes no forwarding that would listen
// on the VM, and says what to do instead.
func TestTerminalEscapeShared(t *testing.T) {
	noLeaks(t)
	own := startVM(t, sshd.Options{}).dial(t)
	s := openScreen(t)
	ended := s.start(Borrow(own.Client(), own.Info(), "m"), RunOptions{Term: "xterm", Command: "stty -echo; echo up; cat"})
	s.shows("up")
	s.types("\r~C")
	s.shows("ssh> ")
	s.types("-R 0:localhost:9\r")
	s.shows("other sessions share this connection; give -R when the session is started")
	s.types("\r~.")
	if err := <-ended; !errors.Is(err, ErrDisconnected) {
		t.Fatal(err)
	}
}

func TestLargePaste(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	s := openScreen(t)
	paste := make([]byte, 600<<10)
	random := rand.NewChaCha8([32]byte{7})
	_, _ = random.Read(paste)
	for i := range paste { // every byte but the escape
		if paste[i] == '~' {
			paste[i] = 'a'
		}
	}
	sum := sha256.Sum256(paste)
	ended := s.start(c, RunOptions{Term: "xterm", Command: "stty raw -echo; echo up; head -c 614400 | sha256sum"})
	s.shows("up")
	s.types(string(paste))
	s.shows(hex.EncodeToString(sum[:]))
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// Terminal modes travel, and what is typed after the end stays in the terminal.
func TestTerminalModesAndRest(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	s := openScreen(t)
	tio := s.modes()
	tio.Cc[unix.VERASE], tio.Cc[unix.VINTR] = 'H'-64, 'X'-64
	raw, err := s.tty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = setTermios(int(fd), &tio) })
	if err != nil {
		t.Fatal(err)
	}
	if err := <-s.start(c, RunOptions{Term: "xterm", Command: "stty -a"}); err != nil {
		t.Fatal(err)
	}
	s.shows("erase = ^H")
	s.shows("intr = ^X")
	s.types("next\n")
	b := make([]byte, 16)
	if n, err := s.tty.Read(b); err != nil || string(b[:n]) != "next\n" {
		t.Errorf("%q %v", b[:n], err)
	}
}

func TestTTYModes(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	for _, test := range []struct {
		name string
		mode TTYMode
		want string
	}{{"auto", TTYAuto, "no"}, {"request", TTYRequest, "no"}, {"never", TTYNever, "no"}, {"force", TTYForce, "yes"}} {
		var out strings.Builder
		err := c.Run(t.Context(), RunOptions{Command: "tty -s && echo yes || echo no", TTY: test.mode, Stdout: &out, Stdin: strings.NewReader("")})
		if err != nil || strings.TrimSpace(out.String()) != test.want {
			t.Errorf("%s: %v %q", test.name, err, out.String())
		}
	}
	s := openScreen(t)
	if err := c.Run(t.Context(), RunOptions{Command: "read x; echo \"[$x]\"", Stdin: s.tty, Stdout: s.tty, NoStdin: true}); err == nil {
		s.shows("[]")
	}
}
