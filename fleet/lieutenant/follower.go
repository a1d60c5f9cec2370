package lieutenant

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
)

// follower turns frames into lines. It outlives connections.
type follower struct {
	fn       func(Event) error
	failed   error // of fn
	progress bool  // something arrived on this connection

	pos       Position // behind the last byte that arrived
	tail      []byte   // the last bytes before pos, to recognise the file by
	line      []byte   // what arrived of the present line
	lineStart int64
	over      bool   // the present line is too long
	half      []byte // first half of a character at the end of the last delta
}

const (
	maxFrame = 1 << 20
	maxTail  = 4096
)

// run follows over one connection until it ends.
func (f *follower) run(ctx context.Context, conn Conn, p Paths) error {
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
		return &Error{Op: "following the event stream", Err: ErrProtocol}
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
			piece = data[:i]
		}
		if f.over = f.over || len(f.line)+len(piece) > MaxLine; f.over {
			f.line = nil
		} else {
			f.line = append(f.line, piece...)
		}
		if i < 0 {
			f.pos.Offset += int64(len(data))
			return nil
		}
		f.pos.Offset += int64(i) + 1
		data = data[i+1:]
		if err := f.emit(); err != nil {
			return err
		}
	}
	return nil
}

// emit hands the present line to fn.
func (f *follower) emit() error {
	e := Event{Kind: KindOversized, Offset: f.lineStart, Next: f.pos.Offset}
	if !f.over {
		p := parseLine(f.line)
		e.Kind, e.Time, e.Raw = p.kind, p.time, f.line
		switch p.kind {
		case KindText:
			whole, half := splitHigh(append(f.half, p.delta...))
			e.Text, f.half = unquote(whole), bytes.Clone(half)
		case KindStart, KindEnd:
			f.half = nil
		}
	}
	empty := !f.over && len(f.line) == 0
	f.lineStart, f.over = f.pos.Offset, false
	f.line = f.line[:0]
	if empty {
		return nil
	}
	return f.tell(e)
}

// reset begins with a new file.
func (f *follower) reset(inode uint64) error {
	f.pos, f.lineStart = Position{Inode: inode}, 0
	f.tail, f.line, f.half, f.over = nil, nil, nil, false
	return f.tell(Event{Kind: KindReset})
}

func (f *follower) tell(e Event) error {
	f.failed = f.fn(e)
	return f.failed
}
