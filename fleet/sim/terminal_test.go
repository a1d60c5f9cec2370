package sim

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// screen collects what a terminal shows.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// await waits until the screen shows text, and forgets all up to it.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		s.mu.Lock()
		if i := strings.Index(s.buf.String(), text); i >= 0 {
			s.buf.Next(i + len(text))
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the screen never shows %q, but\n%q", text, s.String())
}

// terminal opens a shell on a PTY.
func terminal(t *testing.T, client *ssh.Client) (*ssh.Session, io.WriteCloser, *screen) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("xterm", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	show := &screen{}
	session.Stdout = show
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	return session, in, show
}

func TestInteractiveShell(t *testing.T) {
	s := start(t, Config{Still: true})
	session, in, show := terminal(t, mustLogin(t, s, s.VM("marketing")))
	say := func(text string) {
		t.Helper()
		if _, err := io.WriteString(in, text); err != nil {
			t.Fatal(err)
		}
	}
	show.await(t, "root@marketing:~# ")
	if err := session.WindowChange(50, 132); err != nil {
		t.Fatal(err)
	}
	say("X=kept; cd workspace\r")
	show.await(t, "root@marketing:~/workspace# ")
	say("echo $X $TERM\r")
	show.await(t, "kept xterm\r\n")
	say("echo wrong\x03")
	show.await(t, "# ")
	say("cat\r")
	say("ab\x7fc\r")
	show.await(t, "\r\nac\r\n")
	say("\x04")
	show.await(t, "# ")
	say("sleep 1000\r")
	time.Sleep(20 * time.Millisecond) // Ctrl-C at the prompt would do as well
	say("\x03")
	show.await(t, "# ")
	say("for i in 1 2\rdo echo n$i\rdone\r")
	show.await(t, "n1\r\nn2\r\n")
	say("exit 5\r")
	err := session.Wait()
	if exit, ok := err.(*ssh.ExitError); !ok || exit.ExitStatus() != 5 {
		t.Errorf("exit: %v", err)
	}
}

func TestTypeAhead(t *testing.T) {
	s := start(t, Config{Still: true})
	session, in, show := terminal(t, mustLogin(t, s, s.VM("chad-dev")))
	if _, err := io.WriteString(in, "echo one\recho two\rexit\r"); err != nil {
		t.Fatal(err)
	}
	if err := session.Wait(); err != nil {
		t.Error(err)
	}
	show.await(t, "\r\none\r\n")
	show.await(t, "\r\ntwo\r\n")

	session, in, _ = terminal(t, mustLogin(t, s, s.VM("chad-dev")))
	if _, err := io.WriteString(in, "true\r\x04"); err != nil {
		t.Fatal(err)
	}
	if err := session.Wait(); err != nil {
		t.Errorf("Ctrl-D: %v", err)
	}
}

func TestCommandOnTerminal(t *testing.T) {
	s := start(t, Config{Still: true})
	session, err := mustLogin(t, s, s.VM("chad-dev")).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("vt100", 10, 40, nil); err != nil {
		t.Fatal(err)
	}
	out, err := session.Output("echo $TERM; echo err >&2")
	if err != nil || string(out) != "vt100\r\nerr\r\n" {
		t.Errorf("%q %v", out, err)
	}
}
