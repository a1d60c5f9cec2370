package sshconn

import (
	"context"
	"io"
	"strings"
	"sync"
)

// interaction is the person's side of a session with a pseudo-terminal.
type interaction struct {
	session *session
	cancel  context.CancelCauseFunc
	message io.Writer
	local   *terminal
	escape  *escaper

	mu   sync.Mutex
	last windowSize
	line *commandLine // while ~C reads a command
}

// say writes a line of ours. The carriage return keeps it straight in raw mode.
func (i *interaction) say(lines ...string) {
	_, _ = io.WriteString(i.message, strings.Join(lines, "\r\n")+"\r\n")
}

// feed sends what is typed, minus escape sequences.
func (i *interaction) feed(in io.Reader) {
	defer i.restoreOnPanic()
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 && !i.typed(buf[:n]) {
			return
		}
		if err != nil {
			_ = i.session.ch.CloseWrite()
			return
		}
	}
}

// restoreOnPanic puts the terminal back before the program dies of a panic.
func (i *interaction) restoreOnPanic() {
	if p := recover(); p != nil {
		if i.local != nil {
			i.local.restore()
		}
		panic(p)
	}
}

// typed handles one piece of input; false ends the reading.
func (i *interaction) typed(in []byte) bool {
	for len(in) > 0 {
		if i.line != nil {
			in = i.editLine(in)
			continue
		}
		if i.escape == nil {
			return i.send(in)
		}
		send, action, rest := i.escape.next(in)
		if !i.send(send) || !i.act(action) {
			return false
		}
		in = rest
	}
	return true
}

func (i *interaction) send(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	_, err := i.session.ch.Write(p)
	return err == nil
}

// act carries out an escape sequence; false ends the reading.
func (i *interaction) act(a escapeAction) bool {
	key := ""
	if i.escape != nil {
		key = string(i.escape.char)
	}
	switch a {
	case escapeDisconnect:
		i.say(key + ".")
		i.cancel(i.session.conn.sessionError(ErrDisconnected))
		return false
	case escapeHelp:
		i.say(append([]string{key + "?"}, i.escape.helpLines()...)...)
	case escapeList:
		i.say(append([]string{key + "#"}, i.session.conn.describeForwards()...)...)
	case escapeBreak:
		i.session.tell("break", struct{ Length uint32 }{0})
	case escapeSuspend:
		i.suspend(key)
	case escapeMore:
		i.say(key + "v " + i.session.conn.setNoise(1))
	case escapeLess:
		i.say(key + "V " + i.session.conn.setNoise(-1))
	case escapeRekey:
		i.say(key + "R [not possible: keys are renewed by themselves]")
	case escapeBackground:
		i.say(key + "& [not possible: for forwardings in the background use ssh -N ... &]")
	case escapeCommand:
		i.line = &commandLine{}
		_, _ = io.WriteString(i.message, "\r\nssh> ")
	}
	return true
}

// suspend stops this program until the shell continues it.
func (i *interaction) suspend(key string) {
	if i.local == nil {
		return
	}
	i.say(key + "^Z [suspend]")
	i.local.restore()
	suspendSelf()
	_ = i.local.raw()
	i.resize(true)
}

// resize tells the server the window's size if it changed.
func (i *interaction) resize(always bool) {
	i.mu.Lock()
	now := i.local.size()
	changed := always || now != i.last
	i.last = now
	i.mu.Unlock()
	if changed && now.Columns > 0 {
		i.session.tell("window-change", now)
	}
}

// watch follows signals until the returned function is called.
func (i *interaction) watch() (stop func()) {
	signals, unwatch := watchSignals()
	done := make(chan struct{})
	i.resize(false)
	go func() {
		defer i.restoreOnPanic()
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				switch {
				case isResize(sig):
					i.resize(false)
				case isContinue(sig):
					i.local.rawAgain()
					i.resize(true)
				default:
					i.local.restore()
					i.cancel(&SignalError{Signal: sig})
				}
			}
		}
	}()
	return func() { unwatch(); close(done) }
}
