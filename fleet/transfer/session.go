package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// errStalled ends a session that says nothing though something is expected.
var errStalled = errors.New("the VM stopped answering")

// errNoise is what a session fails with when the answer does not begin with
// ready within the first noiseLimit bytes.
var errNoise = errors.New("the VM's shell does not answer as expected")

const (
	noiseLimit = 256 << 10
	stallLimit = 60 * time.Second
)

// session is one command running on the VM.
type session struct {
	in      *io.PipeWriter
	out     *bufio.Reader
	outPipe *pipe
	stderr  tailBuffer
	cancel  context.CancelCauseFunc
	done    chan struct{}
	err     error // of Exec; valid after done
	synced  bool
	last    atomic.Int64  // UnixNano of the last byte
	quiet   atomic.Bool   // nothing is expected now: do not watch
	errOut  *bufio.Reader // stderr, where a command answers there too; else nil
	errPipe *pipe
	onWait  func() // called by the reader before it waits for more of out; may be nil
}

// startSession runs cmd on c. The caller must call stop.
func startSession(ctx context.Context, c Conn, cmd string) *session {
	s := &session{}
	s.start(ctx, c, cmd, &s.stderr)
	return s
}

// startSplit is startSession for a command that answers on stderr too.
func startSplit(ctx context.Context, c Conn, cmd string) *session {
	s := &session{errPipe: newPipe(64 << 10)}
	s.errOut = bufio.NewReaderSize(&touchReader{s: s, r: s.errPipe}, 16<<10)
	s.start(ctx, c, cmd, s.errPipe)
	return s
}

// start runs cmd.
func (s *session) start(ctx context.Context, c Conn, cmd string, stderr io.Writer) {
	ctx, cancel := context.WithCancelCause(ctx)
	inR, inW := io.Pipe()
	s.in, s.outPipe, s.cancel, s.done = inW, newPipe(256<<10), cancel, make(chan struct{})
	s.out = bufio.NewReaderSize(&touchReader{s: s, r: s.outPipe, main: true}, 128<<10)
	s.last.Store(time.Now().UnixNano())
	go func() {
		leave, err := enter(ctx, c)
		if err == nil {
			s.touch()
			go s.watch(ctx)
			err = c.Exec(ctx, cmd, inR, s.outPipe, stderr)
			leave()
		}
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = cause
		}
		s.err = err
		close(s.done)
		_ = inR.CloseWithError(io.ErrClosedPipe)
		if err == nil || exitedBy(err) {
			err = io.EOF
		}
		s.outPipe.close(err)
		if s.errPipe != nil {
			s.errPipe.close(err)
		}
	}()
}

// watch ends the session when it is silent for too long.
func (s *session) watch(ctx context.Context) {
	tick := time.NewTicker(stallLimit / 12)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.quiet.Load() {
				s.last.Store(time.Now().UnixNano())
			} else if time.Since(time.Unix(0, s.last.Load())) > stallLimit {
				s.cancel(errStalled)
				return
			}
		}
	}
}

// ready skips what the login shell printed first.
func (s *session) ready() error {
	if s.synced {
		return nil
	}
	seen := 0
	for {
		line, err := s.out.ReadSlice(0)
		seen += len(line)
		if bytes.HasSuffix(line, []byte(ready)) {
			s.synced = true
			return nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		if seen > noiseLimit {
			return errNoise
		}
		if err != nil {
			return s.failure(err)
		}
	}
}

// touch notes a sign of life.
func (s *session) touch() { s.last.Store(time.Now().UnixNano()) }

// failure turns a read error at an unexpected place into what really happened.
func (s *session) failure(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.stop()
		if s.err != nil {
			return s.err
		}
		return io.ErrUnexpectedEOF
	}
	return err
}

// finish ends stdin, reads the rest of the answer and returns how the command
// ended. Nothing more than limit bytes is read.
func (s *session) finish(limit int64) error {
	_ = s.in.Close()
	return s.drain(limit)
}

// drain reads the rest of the answer and returns how the command ended.
func (s *session) drain(limit int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(s.out, limit))
	if err == nil && n >= limit {
		s.stop()
		return errNoise
	}
	<-s.done
	return s.err
}

// stop ends the session at once and waits for it.
func (s *session) stop() {
	_ = s.in.CloseWithError(io.EOF)
	select {
	case <-s.done:
	default:
		s.cancel(errStopped)
		s.outPipe.leave()
		if s.errPipe != nil {
			s.errPipe.leave()
		}
		<-s.done
	}
	s.cancel(nil)
}

// errStopped is the cause when this end has had enough of a session.
var errStopped = errors.New("session ended by this end")

// isDrop tells whether err means that the connection (not a command) failed.
func isDrop(err error) bool {
	var bad badStream
	return err != nil && !errors.As(err, &bad) && !exitedBy(err) && !errors.Is(err, errStopped) && !errors.Is(err, errNoise) &&
		!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// exitedBy tells whether err is a command's own status.
func exitedBy(err error) bool {
	var status interface{ ExitStatus() int }
	return errors.As(err, &status)
}

// touchReader notes that bytes came.
type touchReader struct {
	s    *session
	r    io.Reader
	main bool // stdout
}

func (t *touchReader) Read(p []byte) (int, error) {
	if t.main && t.s.onWait != nil {
		t.s.onWait()
	}
	n, err := t.r.Read(p)
	if err == io.ErrClosedPipe { // this end closed it
		err = errStopped
	}
	if n > 0 {
		t.s.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// tailBuffer keeps the first 4 KiB of what a command says on stderr.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := 4096 - len(b.buf); room > 0 {
		b.buf = append(b.buf, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// text is what was said, on one line, without control characters, at most 200
// runes.
func (b *tailBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cleanLine(string(b.buf))
}

// cleanLine makes foreign text fit for a message.
func cleanLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0xfffd || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > 200 {
		s = string(runes[:200]) + "..."
	}
	return s
}
