package sshconn

import (
	"context"
	"errors"
	"io"
	"strings"
)

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
			i.say("")
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
		i.say("Commands:", "  -L[bind_address:]port:host:hostport", "  -R[bind_address:]port:host:hostport",
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
			i.say("Forwarding failed: other sessions share this connection; give " + flag + " when the session is started.")
		case err != nil:
			i.say("Forwarding failed: " + err.Error())
		default:
			i.say("Forwarding " + f.String() + ".")
		}
	}()
}

func (i *interaction) cancelForward(kind ForwardKind, listen string) {
	for _, f := range i.session.conn.Forwards() {
		if f.spec.Kind == kind && f.spec.Listen.matches(listen) {
			err := f.Close()
			if err != nil && !errors.Is(err, ErrClosed) {
				i.say("Cancelling failed: " + err.Error())
				return
			}
			i.say("Cancelled " + f.spec.String() + ".")
			return
		}
	}
	i.say("Unknown forwarding " + listen + ".")
}
