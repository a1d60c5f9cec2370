package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/retry"
)

// How a session that comes back behaves.
const (
	reconnectAlive = 5 * time.Second        // keep-alive: a cut is noticed within four of these
	reconnectBase  = 500 * time.Millisecond // first wait
	reconnectCap   = 15 * time.Second       // longest wait: a person is sitting before it
	reconnectShort = 10 * time.Second       // a session shorter than this counts as a failed try
)

// LastingSession opens a shell that outlives its connection: it runs in tmux or
// screen on the VM if there is one, and when the connection is lost it
// connects again until it succeeds, the VM refuses, or ctx ends. Without tmux
// and screen each connection has a fresh shell. What happens is told to
// Options.Warn and Options.OnWait; the terminal is as it was meanwhile.
func (rm *Remote) LastingSession(ctx context.Context, vm inventory.VM, o sshconn.RunOptions, forwards []sshconn.ForwardSpec) error {
	s := &lasting{rm: rm, vm: vm, run: o, forwards: forwards, banner: banner(o), token: strings.ToLower(rand.Text()[:8])}
	s.run.Lasting = true
	return s.keep(ctx)
}

// lasting is one session that outlives its connections.
type lasting struct {
	rm       *Remote
	vm       inventory.VM
	run      sshconn.RunOptions
	forwards []sshconn.ForwardSpec
	token    string
	keeper   keeper
	banner   func(string)
	news     string // for tmux to show, which covers what was said before
}

// keeper is the program on the VM that a shell lives in.
type keeper string

const (
	keeperNone   keeper = ""
	keeperTmux   keeper = "tmux"
	keeperScreen keeper = "screen"
)

func (s *lasting) keep(ctx context.Context) error {
	conn, err := s.rm.o.Access.Connect(ctx, s.vm, s.how())
	if err != nil {
		return err
	}
	s.keeper = s.findKeeper(ctx, conn)
	if s.keeper == keeperNone {
		s.rm.o.Warn("neither tmux nor screen is on " + s.vm.Title() + ": after a cut you get a fresh shell")
	}
	base := reconnectBase
	for {
		began := s.rm.o.Now()
		err := s.session(ctx, conn)
		cut := s.rm.o.Now()
		cause := lostBy(err)
		if cause == "" || ctx.Err() != nil {
			return s.ended(ctx, err)
		}
		s.rm.o.Warn(fmt.Sprintf("connection to %s lost (%s); connecting again, Ctrl-C ends", s.vm.Title(), cause))
		short := cut.Sub(began) < reconnectShort
		if base = min(2*base, reconnectCap); !short {
			base = reconnectBase
		}
		if conn, err = s.rm.o.connectAgain(ctx, s.vm, s.how(), base, short); err != nil {
			return s.gaveUp(ctx, err)
		}
		s.back(ctx, conn, s.rm.o.Now().Sub(cut), cause)
	}
}

func (s *lasting) how() access.How {
	return access.How{KeepAlive: reconnectAlive, Banner: s.banner}
}

// session runs the shell on one connection and closes it.
func (s *lasting) session(ctx context.Context, conn *sshconn.Conn) error {
	defer conn.Close()
	if err := s.rm.forward(ctx, s.vm, conn, s.forwards); err != nil {
		return err
	}
	o := s.run
	if o.Command = s.command(); o.Command != "" && o.TTY == sshconn.TTYAuto {
		o.TTY = sshconn.TTYRequest
	}
	return conn.Run(ctx, o)
}

// lostBy says how the connection of a session was lost; "" if it was not.
func lostBy(err error) string {
	var se *sshconn.Error
	switch {
	case errors.Is(err, sshconn.ErrDisconnected) || !errors.As(err, &se) || se.Stage != sshconn.StageSession:
		return ""
	case errors.Is(err, sshconn.ErrDead):
		return "the VM has not answered for a while: the network is cut, or this computer was asleep"
	case errors.Is(err, sshconn.ErrLost):
		return "it was cut"
	}
	return ""
}

// ended is the end of the whole session.
func (s *lasting) ended(ctx context.Context, err error) error {
	if errors.Is(err, sshconn.ErrDisconnected) && s.keeper != keeperNone {
		s.rm.o.Warn("the session goes on there; " + s.howToReturn())
	}
	return sessionError(ctx, s.vm, err)
}

// lostAgain is a failed try that is followed by another one.
type lostAgain struct{ err error }

// Error is what the try failed with.
func (e lostAgain) Error() string { return e.err.Error() }

// Unwrap returns it.
func (e lostAgain) Unwrap() error { return e.err }

// RetryHint implements retry.Hinter.
func (lostAgain) RetryHint() retry.Hint { return retry.Hint{Transient: true, Unsent: true} }

// errShort makes a connection that is lost again and again wait like one that
// cannot be made.
var errShort = errors.New("the connection lasted only a moment")

// connectAgain tries until it succeeds, ctx ends, or trying is of no use. After a
// short session it waits first.
func (o Options) connectAgain(ctx context.Context, vm inventory.VM, how access.How, base time.Duration, short bool) (conn *sshconn.Conn, err error) {
	hide := func() {}
	defer func() { hide() }()
	wait := func(w retry.Wait) {
		hide()
		hide = o.OnWait(outage.Waiting{What: "reconnecting to " + vm.Title(), Attempt: w.Attempt, Reason: problem.Why(w.Err), Next: w.Next})
	}
	policy := retry.Policy{Base: base, Cap: reconnectCap}
	err = retry.Do(ctx, policy, true, wait, func(ctx context.Context) error {
		if short {
			short = false
			return lostAgain{errShort}
		}
		var err error
		conn, err = o.Access.Connect(ctx, vm, how)
		var own *problem.Error
		if errors.As(err, &own) && own.Retryable {
			return lostAgain{err}
		}
		return err
	})
	return conn, err
}

// gaveUp is the error for a session that does not come back, with the way to
// return to what runs on.
func (s *lasting) gaveUp(ctx context.Context, err error) error {
	e := &problem.Error{Kind: problem.Unexpected, What: "the session on " + s.vm.Title() + " was lost", Why: err.Error(), Origin: problem.OriginSSH, Err: err}
	var own *problem.Error
	if errors.As(err, &own) {
		e.Kind, e.Why, e.Next = own.Kind, problem.Why(own), own.Next
	}
	if ctx.Err() != nil {
		e.Kind, e.Why, e.Origin = problem.Interrupted, "connecting again was interrupted", problem.OriginLocal
	}
	if s.keeper != keeperNone {
		e.Next = s.howToReturn()
	}
	return e
}

func (s *lasting) howToReturn() string {
	attach := "tmux attach -t " + s.name()
	if s.keeper == keeperScreen {
		attach = "screen -d -r " + s.name()
	}
	return "return to it with: vers-fleet ssh -t " + safe.Word(s.vm.Title()) + " -- " + attach
}

// back tells that the connection is there again, and what became of the shell.
func (s *lasting) back(ctx context.Context, conn *sshconn.Conn, took time.Duration, cause string) {
	after := max(took.Round(time.Second), time.Second)
	text := fmt.Sprintf("connected to %s again after %s", s.vm.Title(), after)
	s.news = fmt.Sprintf("vers-fleet: connected again after %s (%s)", after, cause)
	before := s.keeper
	if s.keeper == keeperNone || !s.kept(ctx, conn) {
		s.keeper = s.findKeeper(ctx, conn)
		text += "; this is a fresh shell"
		if before != keeperNone {
			text += ": the " + string(before) + " session is gone, the VM may have been restarted"
		}
	}
	s.rm.o.Warn(text)
	sshconn.DiscardTyped(s.run.Stdin) // it was typed blindly
}

func (s *lasting) name() string { return "vers-fleet-" + s.token }

// command starts the shell, or returns to it. A TERM that the VM does not know
// would keep both programs from starting, and so would a server that gives no
// terminal: then it is a plain shell.
func (s *lasting) command() string {
	const term = `[ -t 0 ] || exec "${SHELL:-/bin/sh}"; infocmp >/dev/null 2>&1 || export TERM=xterm-256color; `
	switch s.keeper {
	case keeperTmux:
		attach := term + "exec tmux new-session -A -D -s " + s.name()
		if s.news != "" {
			attach += ` \; set-option display-time 5000 \; display-message ` + safe.Word(strings.ReplaceAll(s.news, "#", "##")) // #() would be run
		}
		return safe.Script(attach)
	case keeperScreen:
		return safe.Script(term + "exec screen -d -RR -S " + s.name())
	}
	return ""
}

// probeKeeper bounds the questions about tmux and screen.
const probeKeeper = 10 * time.Second

// findKeeper looks for a program that can keep the shell. A tmux that is there
// may still not work (it wants a UTF-8 locale and a folder for its socket), so
// it is tried out; the try outlives the start of the real session, lest that
// meets a tmux server that is just ending.
func (s *lasting) findKeeper(ctx context.Context, conn *sshconn.Conn) keeper {
	switch {
	case s.ask(ctx, conn, "tmux new-session -d -s "+s.name()+"-try 'sleep 5' >/dev/null 2>&1"):
		return keeperTmux
	case s.ask(ctx, conn, "command -v screen >/dev/null 2>&1"):
		return keeperScreen
	}
	return keeperNone
}

// kept reports whether the session still lives on the VM.
func (s *lasting) kept(ctx context.Context, conn *sshconn.Conn) bool {
	if s.keeper == keeperScreen {
		return s.ask(ctx, conn, "screen -ls "+s.name()+" | grep "+s.name()+" | grep -qv Dead")
	}
	return s.ask(ctx, conn, "tmux has-session -t ="+s.name()+" 2>/dev/null")
}

func (s *lasting) ask(ctx context.Context, conn *sshconn.Conn, command string) bool {
	ctx, stop := context.WithTimeout(ctx, probeKeeper)
	defer stop()
	return conn.Exec(ctx, safe.Script(command), nil, nil, nil) == nil
}
