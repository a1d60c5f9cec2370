package sshconn

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// Every way to write the VM's side works with a real sshd, whether that obeys
// the bind address or not, and whoever chooses the port.
func TestRemoteForwardForms(t *testing.T) {
	noLeaks(t)
	for _, gatewayPorts := range []string{"no", "clientspecified", "yes"} {
		c := startVM(t, sshd.Options{Config: []string{"GatewayPorts " + gatewayPorts}}).dial(t)
		binds := []string{"", "localhost:", "127.0.0.1:", ":", "*:", "0.0.0.0:"}
		if l, err := net.Listen("tcp", "[::1]:0"); err == nil { // not every machine has IPv6
			_ = l.Close()
			binds = append(binds, "[::1]:", "[::]:")
		}
		for _, bind := range binds {
			remoteForwardAnswers(t, c, gatewayPorts, bind)
		}
	}
}

// remoteForwardAnswers forwards a port that sshd chooses, and one that the test
// chooses. A port that was free may be another program's by the time sshd asks
// for it, so the second has some tries.
func remoteForwardAnswers(t *testing.T, c *Conn, gatewayPorts, bind string) {
	t.Helper()
	to := listen(t, echo)
	if !forwardBack(t, c, bind, 0, to) {
		t.Errorf("GatewayPorts %s, bind %q: no answer by the port that sshd chose", gatewayPorts, bind)
	}
	for range 5 {
		if forwardBack(t, c, bind, freePort(t), to) {
			return
		}
	}
	t.Errorf("GatewayPorts %s, bind %q: no answer by a port of our own", gatewayPorts, bind)
}

// forwardBack forwards a remote port and tells whether something sent into it
// comes back. sshd is content when it gets the port in one family of addresses,
// so whoever has it in the other may answer there.
func forwardBack(t *testing.T, c *Conn, bind string, port int, to string) bool {
	t.Helper()
	spec, err := ParseForward('R', bind+strconv.Itoa(port)+":"+to)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Forward(t.Context(), spec)
	if err != nil {
		t.Logf("bind %q, port %d: %v", bind, port, err)
		return false
	}
	defer f.Close()
	if f.port() == 0 || port != 0 && f.port() != port {
		t.Errorf("bind %q: port %d of %d", bind, f.port(), port)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		var got string
		x, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(f.port())))
		if err == nil {
			got, err = exchange(x, "back")
		}
		if got == "BACK" {
			return true
		}
		t.Logf("bind %q, %s, port %d: %q, %v", bind, host, f.port(), got, err)
	}
	return false
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// told collects what a person is told.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *told) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		n := 0
		for _, w := range words {
			if strings.Contains(line, w) {
				n++
			}
		}
		if n == len(words) {
			return true
		}
	}
	return false
}

// A target that does not answer is told of, with the server's words and in one
// line; more and less can be asked for.
func TestForwardFailureIsTold(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	var heard told
	c.OnNote(heard.add)
	f := forwardT(t, c, 'L', "0:127.0.0.1:1")
	knock := func(f *Forward) {
		t.Helper()
		x := dialT(t, "tcp", f.addr())
		_ = x.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.ReadAll(x)
		_ = x.Close()
	}
	knock(f)
	soon(t, "the failure is told", func() bool {
		return heard.has("-L 0:127.0.0.1:1 on port "+strconv.Itoa(f.port()), "refused by the VM's SSH server: connect failed")
	})
	if heard.has("\n") {
		t.Error(heard.lines)
	}
	if said := c.setVerbosity(-1); !strings.Contains(said, "nothing") {
		t.Error(said)
	}
	before := len(heard.lines)
	knock(f)
	if said := c.setVerbosity(5); !strings.Contains(said, "every") {
		t.Error(said)
	}
	g := forwardT(t, c, 'L', "0:"+listen(t, echo))
	if got := ask(t, dialT(t, "tcp", g.addr()), "a"); got != "A" {
		t.Error(got)
	}
	soon(t, "the end of a connection is told", func() bool { return heard.has("has ended") })
	heard.mu.Lock()
	defer heard.mu.Unlock()
	if len(heard.lines) != before+2 {
		t.Errorf("%q", heard.lines)
	}
}

// What a forwarded connection moves is not cut off by the session's end.
func TestLogoutWaitsForForwards(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	f := forwardT(t, c, 'L', "0:"+listen(t, echo))
	x := dialT(t, "tcp", f.addr())
	defer x.Close()
	_, _ = io.WriteString(x, "slow")
	soon(t, "the connection is open", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.open == 1 })
	ended := make(chan error, 1)
	stderr := &told{}
	go func() {
		ended <- c.Run(t.Context(), RunOptions{Command: "exit 3", Stderr: writerFunc(func(p []byte) (int, error) { stderr.add(string(p)); return len(p), nil })})
	}()
	soon(t, "the waiting is told", func() bool { return stderr.has("waiting for forwarded connections") })
	select {
	case err := <-ended:
		t.Fatalf("ended before the connection: %v", err)
	default:
	}
	closeWrite(x)
	if b, err := io.ReadAll(x); err != nil || string(b) != "SLOW" {
		t.Errorf("%q %v", b, err)
	}
	var exit *ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Status != 3 {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// SOCKS 4 and 4A, byte by byte (there is no client of it in the library).
func TestForwardSocks4(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	_, text, _ := net.SplitHostPort(listen(t, echo))
	port, _ := strconv.Atoi(text)
	where := string([]byte{byte(port >> 8), byte(port)})
	f := forwardT(t, c, 'D', "127.0.0.1:0")
	const granted, refused = "\x00\x5a\x00\x00\x00\x00\x00\x00", "\x00\x5b\x00\x00\x00\x00\x00\x00"
	for _, test := range []struct{ name, request, want string }{
		{"address", "\x04\x01" + where + "\x7f\x00\x00\x01me\x00", granted + "VIA"},
		{"no user", "\x04\x01" + where + "\x7f\x00\x00\x01\x00", granted + "VIA"},
		{"name", "\x04\x01" + where + "\x00\x00\x00\x01me\x00localhost\x00", granted + "VIA"},
		{"nobody there", "\x04\x01\x00\x01\x7f\x00\x00\x01\x00", refused},
		{"bind", "\x04\x02" + where + "\x7f\x00\x00\x01\x00", refused},
		{"bad name", "\x04\x01" + where + "\x00\x00\x00\x01\x00a b\x00", refused},
		{"endless user", "\x04\x01" + where + "\x7f\x00\x00\x01" + strings.Repeat("x", 4000), ""},
		{"cut off", "\x04\x01\x00", ""},
	} {
		x := dialT(t, "tcp", f.addr())
		_ = x.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(x, test.request+"via")
		closeWrite(x)
		got, err := io.ReadAll(x)
		_ = x.Close()
		if string(got) != test.want && !(test.want == "" && err != nil) { // a reset is fine
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}
