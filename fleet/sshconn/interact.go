package sshconn

import (
	"context"
	"errors"
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

// print writes a line of ours. The carriage return keeps it straight in raw mode.
func (i *interaction) print(lines ...string) {
	_, _ = io.WriteString(i.message, strings.Join(lines, "\r\n")+"\r\n")
}

// readTyped sends what is typed, minus escape sequences.
func (i *interaction) readTyped(in io.Reader) {
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
		i.print(key + ".")
		i.cancel(i.session.conn.sessionError(ErrDisconnected))
		return false
	case escapeHelp:
		i.print(append([]string{key + "?"}, i.escape.helpLines()...)...)
	case escapeList:
		i.print(append([]string{key + "#"}, i.session.conn.describeForwards()...)...)
	case escapeBreak:
		i.session.tell("break", struct{ Length uint32 }{0})
	case escapeSuspend:
		i.suspend(key)
	case escapeMore:
		i.print(key + "v " + i.session.conn.setVerbosity(1))
	case escapeLess:
		i.print(key + "V " + i.session.conn.setVerbosity(-1))
	case escapeRekey:
		i.print(key + "R [not possible: keys are renewed by themselves]")
	case escapeBackground:
		i.print(key + "& [not possible: for forwardings in the background use ssh -N ... &]")
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
	i.print(key + "^Z [suspend]")
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

// watch follows the window and stops until the returned function is called.
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
				}
			}
		}
	}()
	return func() { unwatch(); close(done) }
}

// commandLine is the line being typed after ~C.
type commandLine struct{ text []byte }

// maxCommandLine bounds it; a forwarding with two socket paths fits.
const maxCommandLine = 512

// editLine takes typed bytes into the command line and returns the rest once
// the line is complete.
func (i *interaction) editLine(in []byte) []byte {
	l := i.line
	for n, b := range in {
		switch {
		case isNewline(b):
			i.line = nil
			_, _ = io.WriteString(i.message, "\r\n")
			i.command(strings.TrimSpace(string(l.text)))
			return in[n+1:]
		case b == 3 || b == 4 || b == 27: // Ctrl-C, Ctrl-D, Escape
			i.line = nil
			i.print("")
			return in[n+1:]
		case b == 8 || b == 127:
			if len(l.text) > 0 {
				l.text = l.text[:len(l.text)-1]
				_, _ = io.WriteString(i.message, "\b \b")
			}
		case b >= 32 && len(l.text) < maxCommandLine:
			l.text = append(l.text, b)
			_, _ = i.message.Write([]byte{b})
		}
	}
	return nil
}

// command runs one line of ~C, as OpenSSH's process_cmdline does.
func (i *interaction) command(line string) {
	if line == "" {
		return
	}
	flag, arg := line, ""
	if cut := strings.IndexByte(line, ' '); cut >= 0 {
		flag, arg = line[:cut], strings.TrimSpace(line[cut:])
	}
	if arg == "" && len(flag) > 2 { // -L8080:host:80 without a space
		at := 2
		if strings.HasPrefix(flag, "-K") {
			at = 3
		}
		if len(flag) > at {
			flag, arg = flag[:at], flag[at:]
		}
	}
	kinds := map[string]ForwardKind{"L": ForwardLocal, "R": ForwardRemote, "D": ForwardDynamic}
	cancel := strings.HasPrefix(flag, "-K")
	kind, ok := kinds[strings.TrimPrefix(strings.TrimPrefix(flag, "-K"), "-")]
	if !ok {
		i.print("Commands:", "  -L[bind_address:]port:host:hostport", "  -R[bind_address:]port:host:hostport",
			"  -D[bind_address:]port", "  -KL|-KR|-KD[bind_address:]port   Cancel a forwarding")
		return
	}
	if cancel {
		i.cancelForward(kind, arg)
		return
	}
	// The reader must not stall: opening a remote forwarding takes a round trip.
	go func() {
		defer i.restoreOnPanic()
		spec, err := ParseForward(kind, arg)
		var f *Forward
		if err == nil {
			f, err = i.session.conn.Forward(context.Background(), spec)
		}
		switch {
		case errors.Is(err, ErrShared):
			i.print("Forwarding failed: other sessions share this connection; give " + flag + " when the session is started.")
		case err != nil:
			i.print("Forwarding failed: " + err.Error())
		default:
			i.print("Forwarding " + f.String() + ".")
		}
	}()
}

func (i *interaction) cancelForward(kind ForwardKind, listen string) {
	for _, f := range i.session.conn.openForwards() {
		if f.spec.Kind == kind && f.spec.Listen.matches(listen) {
			err := f.Close()
			if err != nil && !errors.Is(err, errClosed) {
				i.print("Cancelling failed: " + err.Error())
				return
			}
			i.print("Cancelled " + f.spec.String() + ".")
			return
		}
	}
	i.print("Unknown forwarding " + listen + ".")
}
