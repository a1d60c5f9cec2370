//go:build !windows

package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// tty is a terminal of 40 columns with streams on it; shown returns what the
// program wrote so far.
type tty struct {
	s     *Streams
	keys  *os.File
	slave *os.File
	mu    sync.Mutex
	out   strings.Builder
}

func newTTY(t *testing.T) *tty {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Cols: 40, Rows: 10}); err != nil {
		t.Fatal(err)
	}
	y := &tty{keys: master, slave: slave}
	y.s = &Streams{In: slave, Out: slave, inFile: slave, outFile: slave, errFile: slave, getenv: fakeEnv}
	y.s.display = &display{w: slave}
	y.s.Err = y.s.display
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			y.mu.Lock()
			y.out.Write(b[:n])
			y.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		slave.Close()
		master.Close()
	})
	return y
}

func (y *tty) shown() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.out.String()
}

// await waits until the terminal shows text; there is no event to wait for.
func (y *tty) await(t *testing.T, text string) {
	t.Helper()
	for range 6000 {
		if strings.Contains(y.shown(), text) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never shown: %q in %q", text, y.shown())
}

func (y *tty) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(y.keys, keys); err != nil {
		t.Fatal(err)
	}
}

func TestWaiterOnATerminal(t *testing.T) {
	y := newTTY(t)
	w := y.s.NewWaiter()
	w.Start("API answers 503, next try in 3 s, and this line is far too long\x1b[2J")
	y.await(t, "⠋ API answers 503, next try in 3 s, an…")
	w.Start("second")
	y.await(t, " second")
	y.s.Notef("a note")
	y.await(t, "\r\x1b[Ja note\r\n")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				w.Start("many")
				w.Stop()
			}
		})
	}
	wg.Wait()
	w.Stop()
	y.s.Notef("end")
	y.await(t, "end")
	out := y.shown()
	if strings.Contains(out, "\x1b[2J") || strings.Contains(out, "\x1b[?25l") {
		t.Errorf("foreign escapes or a hidden cursor in %q", out)
	}
	if i := strings.LastIndex(out, "\x1b[J"); i < strings.LastIndex(out, "many") {
		t.Errorf("the spinner was not removed: %q", out)
	}
}

// On a terminal that wants none there is no spinner, and none in colour where
// colour is unwanted.
func TestSpinnerByEnvironment(t *testing.T) {
	for variable, spins := range map[string]bool{"CI=true": false, "TERM=dumb": false, "NO_COLOR=1": true, "TERM=xterm": true} {
		y := newTTY(t)
		name, value, _ := strings.Cut(variable, "=")
		y.s.getenv = func(n string) string {
			if n == name {
				return value
			}
			return fakeEnv(n)
		}
		w := y.s.NewWaiter()
		w.Start("waiting")
		if spins {
			y.await(t, " waiting")
		}
		w.Stop()
		y.s.Notef("end")
		y.await(t, "end")
		if got := strings.Contains(y.shown(), "waiting"); got != spins {
			t.Errorf("%s: the spinner was shown: %v", variable, got)
		}
		if strings.Contains(y.shown(), "\x1b[3") {
			t.Errorf("%s: colour in %q", variable, y.shown())
		}
	}
}

// A line with more bytes than the terminal has columns is one line still, and
// what stands above is not erased; nor is an unfinished line below.
func TestSpinnerStaysInItsLine(t *testing.T) {
	y := newTTY(t)
	w := y.s.NewWaiter()
	w.Start(strings.Repeat("日本", 20))
	y.await(t, "⠙ 日本")
	if _, err := io.WriteString(y.s.Err, "Password: "); err != nil {
		t.Fatal(err)
	}
	y.await(t, "Password: ")
	n := len(y.shown())
	time.Sleep(300 * time.Millisecond) // three turns of the spinner
	if out := y.shown(); len(out) != n {
		t.Errorf("drawn over an unfinished line: %q", out[n:])
	}
	w.Stop()
	if out := y.shown(); strings.Contains(out, "\x1b[F") || !strings.HasSuffix(out, "Password: ") {
		t.Errorf("the line above or an unfinished one is erased: %q", out)
	}
}

// The text is asked anew at every turn, and the next in line is shown when the
// first has ended.
func TestWaitersTakeTurns(t *testing.T) {
	y := newTTY(t)
	first, second := y.s.NewWaiter(), y.s.NewWaiter()
	var turn atomic.Int32
	first.StartAfter(time.Millisecond, func() string { return fmt.Sprintf("turn %d", turn.Add(1)) })
	y.await(t, "turn 3")
	second.Start("second")
	y.await(t, "turn 5")
	if strings.Contains(y.shown(), "second") {
		t.Errorf("two at a time: %q", y.shown())
	}
	first.Stop()
	y.await(t, "second")
	second.Stop()
}

func TestWaiterElsewhere(t *testing.T) {
	for _, c := range []struct {
		rules Rules
		want  string
	}{{Rules{}, ""}, {Rules{Verbose: true}, "a\nb\n"}, {Rules{Quiet: true}, ""}} {
		s, b := Fake(false, 0)
		s.Configure(c.rules)
		w := s.NewWaiter()
		w.Start("a")
		w.Start("a")
		w.Start("b")
		w.Stop()
		if got := b.Err.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.rules, got, c.want)
		}
	}
}

func TestPick(t *testing.T) {
	choices := []string{"chad-dev", "chad-fix", "infra-ui", "marketing"}
	for _, c := range []struct {
		keys []string
		want int
		err  error
	}{
		{[]string{"mark", "\r"}, 3, nil},
		{[]string{"\x1b[B", "\x1b[B", "\x1b[A", "\r"}, 1, nil},
		{[]string{"zz", "\r", "\x7f", "\x7f", "ui", "\r"}, 2, nil},
		{[]string{"\x1b"}, -1, ErrDeclined},
		{[]string{"\x03"}, -1, context.Canceled},
	} {
		y := newTTY(t)
		before, err := term.GetState(int(y.slave.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		type result struct {
			i   int
			err error
		}
		done := make(chan result)
		go func() {
			i, err := y.s.Pick("Which VM?", choices)
			done <- result{i, err}
		}()
		y.await(t, "(4 of 4)")
		for _, k := range c.keys {
			n := len(y.shown())
			y.press(t, k)
			for range 200 { // one read per key
				if len(y.shown()) > n {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
		if r := <-done; r.i != c.want || !errors.Is(r.err, c.err) {
			t.Errorf("%q: %d, %v; want %d, %v", c.keys, r.i, r.err, c.want, c.err)
		}
		after, err := term.GetState(int(y.slave.Fd()))
		if err != nil || *after != *before {
			t.Errorf("%q: the terminal was not restored (%v)", c.keys, err)
		}
	}
}

func TestPrompts(t *testing.T) {
	y := newTTY(t)
	answer := make(chan string)
	go func() {
		yes, err := y.s.Confirm(t.Context(), "Remove the key?")
		if err != nil || !yes {
			t.Errorf("Confirm: %v, %v", yes, err)
		}
		secret, err := y.s.Secret("Passphrase:")
		if err != nil {
			t.Errorf("Secret: %v", err)
		}
		answer <- string(secret)
	}()
	y.await(t, "Remove the key? [y/N] ")
	y.press(t, "yes\n")
	y.await(t, "Passphrase: ")
	y.press(t, "hunx\x7fter2\r")
	if got := <-answer; got != "hunter2" {
		t.Errorf("Secret: %q", got)
	}
	if strings.Contains(y.shown(), "hun") {
		t.Errorf("the secret was shown: %q", y.shown())
	}
}

func TestNobodyToAsk(t *testing.T) {
	s, _ := Fake(false, 0)
	if _, err := s.Confirm(t.Context(), "?"); !errors.Is(err, ErrNotTerminal) {
		t.Errorf("Confirm: %v", err)
	}
	if _, err := s.Pick("?", []string{"a"}); !errors.Is(err, ErrNotTerminal) {
		t.Errorf("Pick: %v", err)
	}
	if _, err := s.Secret("?"); !errors.Is(err, ErrNotTerminal) {
		t.Errorf("Secret: %v", err)
	}
	s, _ = Fake(true, 80) // stdin is at its end
	if _, err := s.Confirm(t.Context(), "?"); !errors.Is(err, ErrNotTerminal) {
		t.Errorf("Confirm at the end of stdin: %v", err)
	}
}

func TestScreen(t *testing.T) {
	y := newTTY(t)
	sc := y.s.NewScreen()
	for _, text := range []string{"one\ntwo\n", strings.Repeat("line\n", 20)} {
		if err := sc.Draw(func(s *Streams) error { return writeString(s.Out, text) }); err != nil {
			t.Fatal(err)
		}
	}
	y.await(t, "\x1b[?7l\x1b[2A\r\x1b[2Kline\r")
	y.await(t, "… 12 more lines\r")
}
