package lieutenant

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strconv"
)

// Raw writes the lines of the last n answers to w as they stand in the stream, complete or not, but without a
// half-written last line; the whole stream if n is 0. It needs no memory for them.
func (s *Stream) Raw(ctx context.Context, n int, w io.Writer) error {
	var f facts
	var start int64
	found := 0
	end, err := s.backward(ctx, 0, func(now facts) { f, start, found = now, 0, 0 }, func(l rawLine) bool {
		if bytes.Contains(l.text, []byte("agent_start")) && parseLine(l.text).kind == KindStart {
			found++
			start = l.offset
		}
		return found < n // if n is 0 only the end is wanted
	})
	if err != nil || end.Offset == 0 {
		return err
	}
	if found < n {
		start = 0
	}
	return s.copyRange(ctx, f, start, end.Offset, w)
}

// copyRange copies the bytes from start to end.
func (s *Stream) copyRange(ctx context.Context, f facts, start, end int64, w io.Writer) error {
	first := start / blockUnit
	cmd := shellCommand(blockScript, s.Paths.withDefaults().Out, strconv.FormatInt(first, 10), strconv.FormatInt(end-first*blockUnit, 10))
	return run(ctx, s.Conn, "reading the event stream", cmd, nil, func(r io.Reader) error {
		br := bufio.NewReader(r)
		if err := sameFile(br, f); err != nil {
			return ErrUnstable
		}
		if _, err := io.CopyN(io.Discard, br, start-first*blockUnit); err != nil {
			return io.ErrUnexpectedEOF
		}
		n, err := io.CopyN(w, br, end-start)
		if n < end-start && err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		return err
	})
}
