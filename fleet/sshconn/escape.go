package sshconn

// escapeAction is what a person asked for with an escape sequence.
type escapeAction int

const (
	escapeNone escapeAction = iota
	escapeDisconnect
	escapeSuspend
	escapeHelp
	escapeList
	escapeBreak
	escapeCommand
	escapeMore
	escapeLess
	escapeRekey
	escapeBackground
)

// NoEscape as RunOptions.Escape turns escape sequences off.
const NoEscape rune = -1

// escaper finds escape sequences in what is typed: the escape character after
// a newline (or at the start), then a letter, as in OpenSSH's clientloop.c,
// process_escapes. It works on bytes as they come, in pieces of any size.
type escaper struct {
	char      byte
	lineStart bool
	pending   bool // the escape character has come, its letter has not
}

func newEscaper(char rune) *escaper {
	if char == 0 {
		char = '~'
	}
	if char < 0 || char > 127 {
		return nil
	}
	return &escaper{char: byte(char), lineStart: true}
}

// next consumes in up to the first complete escape sequence. It returns what
// is to be sent, the action found, and the rest of the input after it.
func (e *escaper) next(in []byte) (send []byte, action escapeAction, rest []byte) {
	for i, b := range in {
		switch {
		case e.pending:
			e.pending = false
			if a := escapeFor(b); a != escapeNone {
				e.lineStart = true
				return send, a, in[i+1:]
			}
			if b != e.char { // not ours: the server gets both
				send = append(send, e.char)
			}
			send = append(send, b)
			e.lineStart = isNewline(b)
		case e.lineStart && b == e.char:
			e.pending = true
		default:
			send = append(send, b)
			e.lineStart = isNewline(b)
		}
	}
	return send, escapeNone, nil
}

func isNewline(b byte) bool { return b == '\r' || b == '\n' }

func escapeFor(b byte) escapeAction {
	switch b {
	case '.':
		return escapeDisconnect
	case 'Z' - 64: // Ctrl-Z
		return escapeSuspend
	case '?':
		return escapeHelp
	case '#':
		return escapeList
	case 'B':
		return escapeBreak
	case 'C':
		return escapeCommand
	case 'v':
		return escapeMore
	case 'V':
		return escapeLess
	case 'R':
		return escapeRekey
	case '&':
		return escapeBackground
	}
	return escapeNone
}

// helpLines is what ~? shows.
func (e *escaper) helpLines() []string {
	c := string(e.char)
	return []string{
		"Supported escape sequences:",
		" " + c + ".   - terminate connection",
		" " + c + "B   - send a BREAK to the remote system",
		" " + c + "C   - open a command line (forwardings)",
		" " + c + "V/v - say less/more about forwarded connections",
		" " + c + "#   - list forwardings",
		" " + c + "^Z  - suspend",
		" " + c + "?   - this message",
		" " + c + c + "   - send the escape character by typing it twice",
		"(Escapes are only recognised immediately after newline.)",
	}
}
