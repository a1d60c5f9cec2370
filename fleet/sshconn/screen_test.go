//go:build linux || darwin

package sshconn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// The switch to the other screen is noticed however the output is cut up.
func TestAltScreen(t *testing.T) {
	for text, want := range map[string]bool{
		"plain":                              false,
		"a\x1b[?1049hb":                      true,
		"a\x1b[?1049h\x1b[2Jb\x1b[?1049lc":   false,
		"\x1b[?1049l\x1b[?1049h":             true,
		"\x1b[?1049":                         false,
		"\x1b[?1048h\x1b[?25l\x1b[?1000htwo": false,
	} {
		for size := 1; size <= len(text); size++ {
			var out bytes.Buffer
			a := &altScreen{w: &out}
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := a.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if a.on.Load() != want || out.String() != text {
				t.Errorf("%q by %d: %t, passed on %q", text, size, a.on.Load(), out.String())
			}
		}
	}
}

// A full-screen program whose connection is cut leaves an ordinary terminal.
func TestScreenAfterCut(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	const mouse, other = "\x1b[?1000l", "\x1b[?1049l"
	for _, test := range []struct {
		name, program, term string
		cut                 bool
		want, wantNot       []string
	}{
		{"full screen", `printf '\033[?1049h\033[?1000h'; echo up; sleep 60`, "xterm", true, []string{mouse, other}, nil},
		{"lines", "echo up; sleep 60", "xterm", true, []string{mouse}, []string{other}},
		{"dumb", "echo up; sleep 60", "dumb", true, nil, []string{mouse, other}},
		{"own end", `printf '\033[?1049h'; echo up; exit 4`, "xterm", false, nil, []string{mouse, other}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := v.dial(t)
			s := openScreen(t)
			ended := s.start(c, RunOptions{Term: test.term, Command: test.program})
			s.shows("up\r\n")
			if test.cut {
				v.DropSessions()
			}
			if err := <-ended; err == nil {
				t.Error("no error")
			}
			s.shows("Connection to marketing closed.")
			for _, want := range test.want {
				if !strings.Contains(s.content(), want) {
					t.Errorf("no %q in %q", want, s.content())
				}
			}
			for _, not := range test.wantNot {
				if strings.Contains(s.content(), not) {
					t.Errorf("%q in %q", not, s.content())
				}
			}
		})
	}
}

// However often the window changes while output comes, the VM knows its last
// size and no line is lost.
func TestResizeStorm(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	s := openScreen(t)
	const lines = 20000
	ended := s.start(c, RunOptions{Term: "xterm", Command: fmt.Sprintf(`seq 1 %d; until test "$(stty size)" = "57 131"; do sleep 0.02; done; echo si-zed`, lines)})
	s.shows("1\r\n2\r\n")
	for n := range 200 {
		s.resize(uint16(40+n), uint16(20+n%50))
		_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	}
	s.resize(131, 57)
	_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	s.shows("si-zed")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	at := strings.Index(s.content(), "1\r\n2\r\n")
	rest := s.content()[at:]
	for n := 1; n <= lines; n++ {
		line := fmt.Sprintf("%d\r\n", n)
		if !strings.HasPrefix(rest, line) {
			t.Fatalf("line %d is %.20q", n, rest)
		}
		rest = rest[len(line):]
	}
}

// Ctrl-C gets through a flood of output, and characters of any width arrive as
// they were typed, whatever pieces they came in.
func TestFloodAndWideCharacters(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	s := openScreen(t)
	ended := s.start(c, RunOptions{Term: "xterm", Command: "yes flood"})
	s.shows("flood\r\nflood\r\n")
	s.types("\x03")
	var exit *ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Status != 128+int(syscall.SIGINT) {
		t.Fatal(err)
	}
	s = openScreen(t)
	const wide = "漢字 😀 👨‍👩‍👧 é ñ"
	ended = s.start(c, RunOptions{Term: "xterm", Command: "stty -echo; echo up; read x; echo \"[$x]\""})
	s.shows("up")
	for _, b := range []byte(wide) {
		s.types(string([]byte{b}))
	}
	s.types("\r")
	s.shows("[" + wide + "]")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
