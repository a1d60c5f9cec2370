package lieutenant

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/retry"
)

// FollowOptions says where to begin and what to do when the connection is lost.
type FollowOptions struct {
	// From is where to begin, at the beginning of a line: Current, Answers.End, or the Next of an event. The zero
	// Position is the beginning of the stream.
	From Position
	// Redial opens a new connection after the old one failed. It decides how often and for how long it tries; its error
	// ends Follow. Closing connections is the caller's. Nil means that a lost connection ends Follow.
	Redial func(context.Context) (Conn, error)
	// Dropped, if not nil, is told why a connection was lost, before Redial.
	Dropped func(error)
}

// Follow calls fn with every line that is written to the stream, until ctx ends, fn fails or the connection is lost
// for good; it returns the error of whichever it was. Through reconnections no line is lost or repeated. When the
// file is truncated or replaced, fn gets an event of KindReset, and then the lines of the new file from its
// beginning. A file that does not exist (yet) is waited for.
func (s *Stream) Follow(ctx context.Context, o FollowOptions, fn func(Event) error) error {
	f := &follower{pos: o.From, lineStart: o.From.Offset, fn: fn}
	conn := s.Conn
	for failures := 0; ; {
		err := f.run(ctx, conn, s.paths.withDefaults())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.failed != nil {
			return f.failed
		}
		if errors.Is(err, errChanged) {
			if err := f.reset(0); err != nil {
				return err
			}
			continue
		}
		if f.progress {
			failures = 0
		}
		f.progress = false
		failures++
		if o.Redial == nil || exited(err) && failures > maxFruitless {
			return err
		}
		if o.Dropped != nil {
			o.Dropped(err)
		}
		if err := pause(ctx, failures); err != nil {
			return err
		}
		if conn, err = o.Redial(ctx); err != nil {
			return err
		}
	}
}

// maxFruitless is how often the command may fail on the VM, without a byte in between, before it is no longer an
// accident.
const maxFruitless = 5

// pause waits before a connection that may fail at once again: nothing after the first failure, then up to 1, 2, 4
// ... 30 s.
func pause(ctx context.Context, failures int) error {
	if failures < 2 {
		return ctx.Err()
	}
	ceiling := min(time.Second<<min(failures-2, 5), 30*time.Second)
	return retry.Sleep(ctx, time.Duration(rand.Float64()*float64(ceiling)))
}

// command is followScript from where the follower is.
func (f *follower) command(p paths) string {
	return safe.Script(followScript, p.out, strconv.FormatInt(f.pos.Offset, 10), strconv.FormatUint(f.pos.Inode, 10))
}

// follower turns frames into lines. It outlives connections.
type follower struct {
	fn       func(Event) error
	failed   error // of fn
	progress bool  // something arrived on this connection

	pos       Position // behind the last byte that arrived
	tail      []byte   // the last bytes before pos, to recognise the file by
	line      []byte   // what arrived of the present line, and was not handed on in parts
	lineStart int64
	long      *parsed // what the beginning of the present line says, if a part of it was handed on
	half      []byte  // first half of a character at the end of the last delta
}

const (
	maxFrame = 1 << 20
	maxTail  = 4096
)

// run follows over one connection until it ends.
func (f *follower) run(ctx context.Context, conn Conn, p paths) error {
	err := run(ctx, conn, "following the event stream", f.command(p), nil, func(r io.Reader) error {
		br := bufio.NewReaderSize(r, 64<<10)
		for {
			word, rest, err := answer(br)
			if err != nil {
				return err
			}
			switch word {
			case "data":
				err = f.frame(br, rest)
			case "reset":
				inode := uint64(0)
				if _, err := fmt.Sscan(rest, &inode); err != nil {
					return io.ErrUnexpectedEOF
				}
				err = f.reset(inode)
			}
			if err != nil {
				return err
			}
		}
	})
	if err == nil {
		return &commandError{op: "following the event stream", err: errProtocol}
	}
	return err
}

// frame reads the bytes that follow a line "vf:data INODE START LENGTH".
func (f *follower) frame(br *bufio.Reader, rest string) error {
	var inode uint64
	var start, n int64
	if _, err := fmt.Sscan(rest, &inode, &start, &n); err != nil || start < 0 || n < 0 || n > maxFrame || start > f.pos.Offset {
		return io.ErrUnexpectedEOF
	}
	f.pos.Inode = inode
	for buf := make([]byte, min(n, 32<<10)); n > 0; {
		got, err := br.Read(buf[:min(n, int64(len(buf)))])
		if err := f.bytes(start, buf[:got]); err != nil {
			return err
		}
		start, n = start+int64(got), n-int64(got)
		if err != nil {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// bytes takes bytes that stand at start, of which some may be known already.
func (f *follower) bytes(start int64, data []byte) error {
	if known := min(f.pos.Offset-start, int64(len(data))); known > 0 {
		from := int64(len(f.tail)) - (f.pos.Offset - start) // where start is in tail
		skip := max(-from, 0)                               // bytes too old to compare
		if skip < known && !bytes.Equal(data[skip:known], f.tail[from+skip:from+known]) {
			return errChanged
		}
		data = data[known:]
	}
	if len(data) == 0 {
		return nil
	}
	f.progress = true
	f.tail = append(f.tail, data...)
	if extra := len(f.tail) - maxTail; extra > 0 {
		f.tail = append(f.tail[:0], f.tail[extra:]...)
	}
	return f.split(data)
}

// split cuts new bytes into lines. A line counts as taken before fn sees it, so that it is never seen twice.
func (f *follower) split(data []byte) error {
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n')
		piece := data
		if i >= 0 {
			piece = data[:i+1]
		}
		f.line = append(f.line, piece...)
		f.pos.Offset += int64(len(piece))
		data = data[len(piece):]
		var err error
		switch {
		case i >= 0:
			err = f.emit()
		case len(f.line) > maxLine:
			err = f.part()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// part hands on what there is of a line that is too long to be kept.
func (f *follower) part() error {
	if f.long == nil {
		p := parseLine(f.line, nil, true)
		p.delta = bytes.Clone(p.delta)
		f.long = &p
	}
	e := Event{Kind: KindPart, Raw: f.line, Offset: f.lineStart, Next: f.pos.Offset}
	f.line = f.line[:0]
	return f.tell(e)
}

// emit hands the present line, or what is left of it, to fn.
func (f *follower) emit() error {
	raw, p := f.line, f.long
	e := Event{Raw: raw, Offset: f.lineStart, Next: f.pos.Offset}
	f.lineStart, f.line, f.long = f.pos.Offset, f.line[:0], nil
	if p == nil {
		if len(raw) == 1 {
			return nil
		}
		whole := parseLine(raw, nil, false)
		p = &whole
	}
	e.Kind, e.Time = p.kind, p.time
	switch p.kind {
	case KindText:
		whole, half := splitHigh(append(f.half, p.delta...))
		e.Text, f.half = unquote(whole), bytes.Clone(half)
	case KindStart, KindEnd:
		f.half = nil
	}
	return f.tell(e)
}

// reset begins with a new file.
func (f *follower) reset(inode uint64) error {
	f.pos, f.lineStart = Position{Inode: inode}, 0
	f.tail, f.line, f.half, f.long = nil, nil, nil, nil
	return f.tell(Event{Kind: KindReset})
}

func (f *follower) tell(e Event) error {
	f.failed = f.fn(e)
	return f.failed
}
