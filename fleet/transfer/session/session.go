package session

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

const noiseLimit = 256 << 10

// Session is one command running on the VM. In and Out are for one goroutine
// each; the methods are safe for concurrent use, but for Ready, Finish and Drain,
// which read Out.
type Session struct {
	In  *Stdin        // a write fails once the command has ended
	Out *bufio.Reader // its stdout; what the login shell printed comes first, see Ready
	Err *bufio.Reader // its stderr, if it answers there too; else nil

	outPipe, errPipe *pipe
	stderr           tailBuffer
	cancel           context.CancelCauseFunc
	done             chan struct{}
	err              error // of Exec; valid after done
	synced           bool
	last             atomic.Int64 // UnixNano of the last sign of life
	owed             *account
	onWait           func()
}

// Rest tells that the VM owes nothing now, so that silence is no trouble.
func (s *Session) Rest() { s.owed.rest() }

// Due tells what the VM owes from now on, and how long it may work on that and show
// nothing. The session ends with a LateError if it is late.
func (s *Session) Due(what string, work time.Duration) { s.owed.due(what, work) }

// OnWait makes fn be called by the reader of Out before it waits for more. It is
// set before the first read.
func (s *Session) OnWait(fn func()) { s.onWait = fn }

// Silent is how long there was no sign of life.
func (s *Session) Silent() time.Duration { return time.Since(time.Unix(0, s.last.Load())) }

// Abort ends the session without waiting for it. Nothing more is read: its readers
// get ErrStopped, and a VM that goes on talking does not hold it up.
func (s *Session) Abort() {
	s.cancel(ErrStopped)
	s.outPipe.leave()
	if s.errPipe != nil {
		s.errPipe.leave()
	}
}

// Wait waits until the command has ended, and returns how.
func (s *Session) Wait() error {
	s.owed.wait(1)
	<-s.done
	s.owed.wait(-1)
	return s.err
}

// Stderr is what the command said on stderr, made fit for a message.
func (s *Session) Stderr() string { return s.stderr.text() }

// Said is the same as it came, the first 4 KiB of it.
func (s *Session) Said() string { return s.stderr.raw() }

// Start runs cmd. The caller must call Stop.
func (c *Conn) Start(ctx context.Context, cmd string) *Session {
	s := &Session{}
	s.start(ctx, c, cmd, &s.stderr)
	return s
}

// StartSplit is Start for a command that answers on stderr too (Err).
func (c *Conn) StartSplit(ctx context.Context, cmd string) *Session {
	s := &Session{errPipe: newPipe(64 << 10)}
	s.Err = bufio.NewReaderSize(&touchReader{s: s, r: s.errPipe}, 16<<10)
	s.start(ctx, c, cmd, s.errPipe)
	return s
}

// start runs cmd.
func (s *Session) start(ctx context.Context, c *Conn, cmd string, stderr io.Writer) {
	ctx, cancel := context.WithCancelCause(ctx)
	inR, inW := io.Pipe()
	s.In, s.outPipe, s.cancel, s.done = &Stdin{inW, s}, newPipe(256<<10), cancel, make(chan struct{})
	s.owed = newAccount()
	s.Out = bufio.NewReaderSize(&touchReader{s: s, r: s.outPipe, main: true}, 128<<10)
	s.touch()
	go func() {
		err := c.enter(ctx)
		if err == nil {
			s.touch()
			go s.watch(ctx)
			err = c.exec(ctx, cmd, takenReader{io.MultiReader(strings.NewReader(safe.Prelude), inR), s}, s.outPipe, stderr)
			c.leave()
		}
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = cause
		}
		s.err = err
		close(s.done)
		_ = inR.CloseWithError(io.ErrClosedPipe)
		if err == nil || Exited(err) {
			err = io.EOF
		}
		s.outPipe.close(err)
		if s.errPipe != nil {
			s.errPipe.close(err)
		}
	}()
}

// Input writes stdin in the background and then ends it. Where write fails the
// reader of the answer knows why.
func (s *Session) Input(write func(w *bufio.Writer) error) {
	go func() {
		w := bufio.NewWriterSize(s.In, 16<<10)
		err := write(w)
		if err == nil {
			err = w.Flush()
		}
		_ = s.In.CloseWithError(err)
	}()
}

// Items are the items of stdin as commands read them: each ended by NUL.
func (s *Session) Items(items ...string) {
	s.Input(func(w *bufio.Writer) error {
		for _, item := range items {
			_, _ = w.WriteString(item)
			_ = w.WriteByte(0)
		}
		return nil
	})
}

// Script runs a script of sh with arguments, see [Session.Script]. The caller must
// call Stop.
func (c *Conn) Script(ctx context.Context, script string, args ...string) *Session {
	s := c.Start(ctx, RunScript)
	s.Script(script, args...)
	return s
}

// Script gives a session of RunScript its script and the arguments, which may be
// any bytes but NUL and must be few enough for one command: they are about MaxArgs
// bytes, or the session fails and runs nothing.
func (s *Session) Script(script string, args ...string) {
	items := append([]string{scriptMark, script}, args...)
	size := 0
	for _, item := range items {
		size += len(item) + 1
	}
	if size > MaxArgs+8<<10-512 { // and xargs has words of its own
		s.cancel(BadAnswer{errTooMany})
		_ = s.In.CloseWithError(errTooMany)
		return
	}
	s.Items(items...)
}

// Runs cuts items into runs that a script takes at a time, MaxArgs bytes of
// arguments or one item; size is what an item takes of them.
func Runs[T any](items []T, size func(T) int) (runs [][]T) {
	start, sum := 0, 0
	for i, item := range items {
		n := size(item)
		if sum+n > MaxArgs && i > start {
			runs = append(runs, items[start:i])
			start, sum = i, 0
		}
		sum += n
	}
	if start < len(items) {
		runs = append(runs, items[start:])
	}
	return runs
}

// watch ends the session when the VM is late.
func (s *Session) watch(ctx context.Context) {
	tick := time.NewTicker(Patience / 12)
	defer tick.Stop()
	s.owed.begin()
	for {
		select {
		case <-s.done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.owed.late(); err != nil {
				s.cancel(err)
				return
			}
		}
	}
}

// Ready skips what the login shell printed first.
func (s *Session) Ready() error {
	if s.synced {
		return nil
	}
	seen := 0
	for {
		line, err := s.Out.ReadSlice(0)
		seen += len(line)
		if bytes.HasSuffix(line, []byte(Ready)) {
			s.synced = true
			return nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		if seen > noiseLimit {
			return ErrNoise
		}
		if err != nil {
			return s.Failure(err)
		}
	}
}

// touch notes a sign of life.
func (s *Session) touch() { s.last.Store(time.Now().UnixNano()) }

// Came notes bytes that the VM brought on stderr of what it owes: those of stdout
// are noted by themselves, others on stderr count for nothing.
func (s *Session) Came(bytes int) {
	s.touch()
	s.owed.came(bytes, Patience)
}

// Failure turns a read error at an unexpected place into what really happened.
func (s *Session) Failure(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.Stop()
		var status interface{ ExitStatus() int }
		switch {
		case errors.As(s.err, &status) && status.ExitStatus() == noStdin && !s.synced:
			return fmt.Errorf("%w: %w", ErrStdin, s.err)
		case s.err != nil:
			return s.err
		}
		return io.ErrUnexpectedEOF
	}
	return err
}

// End returns nil at a clean end and otherwise what happened.
func (s *Session) End(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		<-s.done
	}
	select {
	case <-s.done:
		if IsDrop(s.err) {
			return s.err
		}
	default:
	}
	if err == io.EOF {
		return nil
	}
	return BadAnswer{err}
}

// Finish ends stdin, reads the rest of the answer and returns how the command
// ended. Nothing more than limit bytes is read.
func (s *Session) Finish(limit int64) error {
	_ = s.In.Close()
	return s.Drain(limit)
}

// Drain reads the rest of the answer and returns how the command ended.
func (s *Session) Drain(limit int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(s.Out, limit))
	if err == nil && n >= limit {
		s.Stop()
		return ErrNoise
	}
	<-s.done
	return s.err
}

// Stop ends the session at once and waits for it.
func (s *Session) Stop() {
	_ = s.In.CloseWithError(io.EOF)
	select {
	case <-s.done:
	default:
		s.Abort()
		<-s.done
	}
	s.cancel(nil)
}

// Stdin is a session's stdin.
type Stdin struct {
	*io.PipeWriter
	s *Session
}

// Write waits until the VM takes it, or is too late.
func (w *Stdin) Write(b []byte) (int, error) {
	w.s.owed.wait(1)
	n, err := w.PipeWriter.Write(b)
	w.s.owed.wait(-1)
	return n, err
}

// takenReader notes that the VM takes its stdin. That comes in pieces of 32 KiB,
// which are long on their way over a slow link.
type takenReader struct {
	io.Reader
	s *Session
}

func (r takenReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.s.touch()
	r.s.owed.came(n, 3*Patience)
	return n, err
}

// touchReader notes that bytes came.
type touchReader struct {
	s    *Session
	r    io.Reader
	main bool // stdout
}

func (t *touchReader) Read(p []byte) (int, error) {
	if !t.main {
		n, err := t.r.Read(p)
		return n, stoppedHere(err)
	}
	if t.s.onWait != nil {
		t.s.onWait()
	}
	t.s.owed.wait(1)
	n, err := t.r.Read(p)
	t.s.owed.wait(-1)
	if n > 0 {
		t.s.Came(n)
	}
	return n, stoppedHere(err)
}

// stoppedHere tells that it was this end who closed a pipe.
func stoppedHere(err error) error {
	if err == io.ErrClosedPipe {
		return ErrStopped
	}
	return err
}

// Unpacked reads the rest of the answer, which zstd has compressed.
func (s *Session) Unpacked() (io.ReadCloser, error) {
	dec, err := zstd.NewReader(s.Out, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	return dec.IOReadCloser(), nil
}
