package box

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginTimeout bounds the time between connection and login, as sshd does.
const loginTimeout = 60 * time.Second

// sshConn is one login at a VM.
type sshConn struct {
	m   *Machine
	ctx context.Context // ends with the connection
}

// Serve speaks SSH on a stream until it ends or ctx does. The configuration
// decides who may log in; loggedIn is called for who did.
func (m *Machine) Serve(ctx context.Context, stream net.Conn, config *ssh.ServerConfig, loggedIn func()) {
	_ = stream.SetDeadline(time.Now().Add(loginTimeout))
	conn, channels, requests, err := ssh.NewServerConn(stream, config)
	if err != nil {
		return
	}
	_ = stream.SetDeadline(time.Time{})
	loggedIn()
	ctx, cancel := context.WithCancel(ctx)
	c := &sshConn{m: m, ctx: ctx}
	var open sync.WaitGroup
	open.Go(func() { ssh.DiscardRequests(requests) }) // a refusal, as OpenSSH answers keep-alives
	for ch := range channels {
		open.Go(func() { c.open(ch) })
	}
	cancel()
	_ = conn.Close()
	open.Wait()
}

// open answers a request for a channel.
func (c *sshConn) open(ch ssh.NewChannel) {
	if ch.ChannelType() != "session" {
		_ = ch.Reject(ssh.Prohibited, "not available in the simulator: forwarding needs VMs of the kind sshd")
		return
	}
	if channel, requests, err := ch.Accept(); err == nil {
		c.session(channel, requests)
	}
}

// The payloads of session requests (RFC 4254, section 6).
type (
	ptyRequest struct {
		Term                      string
		Cols, Rows, Width, Height uint32
		Modes                     string
	}
	windowChange struct{ Cols, Rows, Width, Height uint32 }
	envRequest   struct{ Name, Value string }
	textRequest  struct{ Text string }
	exitStatus   struct{ Status uint32 }
	exitSignal   struct {
		Signal  string
		Core    bool
		Message string
		Lang    string
	}
)

// session is one session channel.
type session struct {
	conn    *sshConn
	channel ssh.Channel
	env     []string
	tty     *tty
	ctx     context.Context
	cancel  context.CancelFunc
	started bool
	run     func() int // started, and to run once the request is answered
	done    sync.WaitGroup

	mu     sync.Mutex
	signal string
}

func (c *sshConn) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(c.ctx)
	s := &session{conn: c, channel: channel, ctx: ctx, cancel: cancel}
	for req := range requests {
		ok := s.request(req)
		if req.WantReply {
			_ = req.Reply(ok, nil)
		}
		if run := s.run; run != nil { // only now: a short command would close the channel before the answer
			s.run = nil
			s.done.Go(func() { s.end(run()) })
		}
	}
	cancel() // the client closed the channel or is gone
	s.done.Wait()
}

// request serves one request of a session.
func (s *session) request(req *ssh.Request) bool {
	switch req.Type {
	case "pty-req":
		var p ptyRequest
		if ssh.Unmarshal(req.Payload, &p) != nil || s.started {
			return false
		}
		s.tty = newTTY(p.Term, int(p.Cols), int(p.Rows))
		return true
	case "window-change":
		var p windowChange
		if ssh.Unmarshal(req.Payload, &p) != nil || s.tty == nil {
			return false
		}
		s.tty.resize(int(p.Cols), int(p.Rows))
		return true
	case "env":
		var p envRequest
		if ssh.Unmarshal(req.Payload, &p) != nil || !acceptEnv(p.Name) {
			return false
		}
		s.env = append(s.env, p.Name+"="+p.Value)
		return true
	case "signal":
		var p textRequest
		if ssh.Unmarshal(req.Payload, &p) != nil || !s.started {
			return false
		}
		s.kill(p.Text)
		return true
	case "exec", "shell", "subsystem":
		return s.start(req)
	}
	return false
}

// acceptEnv is the rule of Debian's sshd.
func acceptEnv(name string) bool {
	return name == "LANG" || strings.HasPrefix(name, "LC_") || slices.Contains([]string{"COLORTERM", "NO_COLOR"}, name)
}

// kill ends the session's command the way a signal would.
func (s *session) kill(signal string) {
	s.mu.Lock()
	s.signal = signal
	s.mu.Unlock()
	s.cancel()
}

// start begins what a session is for. There is one start per session.
func (s *session) start(req *ssh.Request) bool {
	var p textRequest
	if s.started || (req.Type != "shell" && ssh.Unmarshal(req.Payload, &p) != nil) {
		return false
	}
	m := s.conn.m
	switch {
	case req.Type == "subsystem" && p.Text != "sftp":
		return false
	case req.Type == "subsystem":
		s.run = s.sftp
	case s.tty != nil:
		s.run = func() int { return m.terminal(s.ctx, s.channel, job{command: p.Text, env: s.env, tty: s.tty}) }
	case req.Type == "shell":
		s.run = s.scriptShell
	default:
		s.run = func() int {
			return m.run(s.ctx, job{command: p.Text, env: s.env, stdin: s.channel, stdout: s.channel, stderr: s.channel.Stderr()})
		}
	}
	s.started = true
	return true
}

// scriptShell is a shell without a terminal: it runs what it is sent.
func (s *session) scriptShell() int {
	text, err := io.ReadAll(io.LimitReader(s.channel, maxCapture))
	if err != nil {
		return 1
	}
	return s.conn.m.run(s.ctx, job{command: string(text), env: s.env, stdin: strings.NewReader(""),
		stdout: s.channel, stderr: s.channel.Stderr()})
}

// end tells how the command ended and closes the channel.
func (s *session) end(status int) {
	s.mu.Lock()
	signal := s.signal
	s.mu.Unlock()
	if signal != "" {
		_, _ = s.channel.SendRequest("exit-signal", false, ssh.Marshal(exitSignal{Signal: signal}))
	} else {
		_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(exitStatus{Status: uint32(status)}))
	}
	_ = s.channel.CloseWrite()
	_ = s.channel.Close()
}
