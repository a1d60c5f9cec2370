package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// ErrNotTerminal is returned by prompts when there is nobody to ask.
var ErrNotTerminal = errors.New("nobody to ask: stdin or stderr is not a terminal")

// ErrDeclined is returned by Pick when the person leaves without a choice.
var ErrDeclined = errors.New("nothing was chosen")

// CanAsk reports whether prompts reach a person.
func (s *Streams) CanAsk() bool { return s.inTerminal() && s.errTerminal() && !s.rules.NoAsking }

// Confirm asks a yes-or-no question on the terminal; only "y" or "yes" is a
// yes. Without a terminal it returns ErrNotTerminal, and the caller says how
// to pass --yes. A cancelled ctx ends the wait.
func (s *Streams) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := s.Ask(ctx, question+" [y/N]", "")
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// Ask asks for one line of text; an empty answer is def. Errors are as for
// Confirm.
func (s *Streams) Ask(ctx context.Context, question, def string) (string, error) {
	if !s.CanAsk() {
		return "", ErrNotTerminal
	}
	hint := " "
	if def != "" {
		hint = " [" + safe.Clean(def) + "] "
	}
	if _, err := io.WriteString(s.Err, safe.Text(question)+hint); err != nil {
		return "", err
	}
	answer, err := readLine(ctx, s.In)
	s.display.lineEnded() // by the person's Enter
	if err != nil {
		_, _ = io.WriteString(s.Err, "\n")
		return "", err
	}
	if answer == "" {
		return def, nil
	}
	return answer, nil
}

// readLine reads one line byte by byte, so that nothing after it is taken from
// whoever reads stdin next. A read from a terminal cannot be cancelled, so on
// cancellation the reading goroutine is left behind; the program ends then.
func readLine(ctx context.Context, in io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	c := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReaderSize(oneByte{in}, 16).ReadString('\n')
		if err == io.EOF && line != "" {
			err = nil
		}
		c <- answer{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-c:
		if errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("no answer: %w", ErrNotTerminal)
		}
		return a.line, a.err
	}
}

// ReadIn reads In to its end, at most limit bytes, for values that are piped
// in. A cancelled ctx ends the wait.
func (s *Streams) ReadIn(ctx context.Context, limit int64) ([]byte, error) {
	type answer struct {
		data []byte
		err  error
	}
	c := make(chan answer, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(s.In, limit))
		c <- answer{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-c:
		return a.data, a.err
	}
}

// oneByte reads a byte at a time.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return o.r.Read(p[:1])
}

// Secret asks for a passphrase without showing it. Errors are as for Confirm;
// the interrupt key ends it with context.Canceled. The terminal is raw
// meanwhile, so that no signal can end the program while the echo is off.
func (s *Streams) Secret(question string) ([]byte, error) {
	if !s.CanAsk() || s.inFile == nil {
		return nil, ErrNotTerminal
	}
	return secretFrom(s.inFile, s.In, s.Err, question)
}

// Passphrase is Secret for what a command asks in the middle of its work: where
// a stream is redirected it asks on the terminal that the program was started
// from, as ssh does.
func (s *Streams) Passphrase(question string) ([]byte, error) {
	if s.CanAsk() || s.forced != nil || s.rules.NoAsking {
		return s.Secret(question)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNotTerminal
	}
	defer func() { _ = tty.Close() }()
	return secretFrom(tty, tty, tty, question)
}

func secretFrom(f *os.File, in io.Reader, out io.Writer, question string) ([]byte, error) {
	fd := int(f.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot turn the echo off: %w", err)
	}
	defer func() {
		_ = term.Restore(fd, before)
		_, _ = io.WriteString(out, "\n")
	}()
	if _, err := io.WriteString(out, safe.Text(question)+" "); err != nil {
		return nil, err
	}
	return readSecret(oneByte{in})
}

// readSecret reads the keys of a raw terminal up to Enter.
func readSecret(in io.Reader) ([]byte, error) {
	var secret []byte
	key := make([]byte, 1)
	for {
		if n, err := in.Read(key); n == 0 || err != nil {
			return nil, fmt.Errorf("no answer: %w", ErrNotTerminal)
		}
		switch key[0] {
		case '\r', '\n':
			return secret, nil
		case keyInterrupt:
			return nil, context.Canceled
		case keyEnd:
			return nil, fmt.Errorf("no answer: %w", ErrNotTerminal)
		case keyBackspace, keyDelete:
			_, n := utf8.DecodeLastRune(secret)
			secret = secret[:len(secret)-n]
		case keyKill:
			secret = secret[:0]
		default:
			secret = append(secret, key[0])
		}
	}
}

// Keys of a raw terminal.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyEnd       = 0x04 // Ctrl-D
	keyBackspace = 0x08
	keyKill      = 0x15 // Ctrl-U
	keyEscape    = 0x1b
	keyDelete    = 0x7f
)
