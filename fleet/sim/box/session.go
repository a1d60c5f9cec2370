package box

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

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
	tty     *TTY
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
		s.tty = NewTTY(p.Term, int(p.Cols), int(p.Rows))
		return true
	case "window-change":
		var p windowChange
		if ssh.Unmarshal(req.Payload, &p) != nil || s.tty == nil {
			return false
		}
		s.tty.Resize(int(p.Cols), int(p.Rows))
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
		s.run = func() int { return m.Terminal(s.ctx, s.channel, Session{Command: p.Text, Env: s.env, TTY: s.tty}) }
	case req.Type == "shell":
		s.run = s.scriptShell
	default:
		s.run = func() int {
			return m.Run(s.ctx, Session{Command: p.Text, Env: s.env, Stdin: s.channel, Stdout: s.channel, Stderr: s.channel.Stderr()})
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
	return s.conn.m.Run(s.ctx, Session{Command: string(text), Env: s.env, Stdin: strings.NewReader(""),
		Stdout: s.channel, Stderr: s.channel.Stderr()})
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
