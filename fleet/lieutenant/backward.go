package lieutenant

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Sizes of blocks, multiples of 64 KiB. They grow while reading backwards: the first one usually holds the last
// answer, and later ones should be worth their round trip.
const (
	blockUnit  = 64 << 10
	firstBlock = 4 * blockUnit
	lastBlock  = 64 * blockUnit
	longLine   = 2 * blockUnit // of which the beginning is looked up, rather than all of it fetched
	countIn    = 256 << 20     // bytes at the end in which Status counts answers
)

// facts is what the VM says about a lieutenant.
type facts struct {
	tmux     string // yes, no, none
	writers  int    // -1 = unknown
	inode    uint64
	size     int64
	modified time.Time // by the VM's clock; zero if unknown
	now      time.Time // the VM's clock
	answers  int       // -1 = not counted
}

var errChanged = errors.New("the event stream was truncated or replaced")

// backward calls fn with the lines of the stream from the last complete one to the first, until it returns false. It
// starts again, after calling restart, if the file is truncated or replaced meanwhile. The position is behind the
// last complete line.
func (s *Stream) backward(ctx context.Context, count int64, restart func(facts), fn func(rawLine) bool) (Position, error) {
	for range 3 {
		end, err := s.backwardOnce(ctx, count, restart, fn)
		if !errors.Is(err, errChanged) {
			return end, err
		}
	}
	return Position{}, errUnstable
}

func (s *Stream) backwardOnce(ctx context.Context, count int64, restart func(facts), fn func(rawLine) bool) (Position, error) {
	f, start, data, err := s.look(ctx, count, firstBlock)
	if err != nil {
		return Position{}, err
	}
	restart(f)
	lines := lineWalker{fetched: int64(len(data))}
	more := lines.block(start, data, fn)
	for size := int64(firstBlock); more && start > 0; {
		if lines.size > longLine && !lines.begun {
			if start, err = s.toLineStart(ctx, f, &lines, start); err != nil {
				return Position{}, err
			}
			continue
		}
		size = min(2*size, lastBlock)
		end := start
		start = max(end-size, 0) / blockUnit * blockUnit
		if data, err = s.block(ctx, f, start, end-start); err != nil {
			return Position{}, err
		}
		lines.fetched += end - start
		more = lines.block(start, data, fn)
	}
	if more {
		lines.first(fn)
	}
	return Position{f.inode, lines.end}, nil
}

// toLineStart gives lines the rest of the line that goes on to the left of start, and returns where that begins. Of a
// very long one, or one whose beginning says all that matters, it is only the beginning.
func (s *Stream) toLineStart(ctx context.Context, f facts, lines *lineWalker, start int64) (int64, error) {
	begin, head, err := s.lineStart(ctx, f, start)
	if err != nil {
		return 0, err
	}
	lines.fetched += int64(len(head))
	whole := s.whole
	if whole == nil {
		whole = func(head []byte) bool { return parseLine(head, nil, true).unclear }
	}
	if !whole(head) || lines.size+start-begin > maxLine {
		lines.cutTo(head, start-begin)
		return begin, nil
	}
	from := begin / blockUnit * blockUnit
	data, err := s.block(ctx, f, from, start-from)
	if err != nil {
		return 0, err
	}
	lines.fetched += start - from
	lines.prepend(data[begin-from:])
	lines.begun = true
	return begin, nil
}

// lineStart finds where the line begins that the byte before start, a multiple of 64 KiB, belongs to, and returns its
// first bytes. The VM looks for the newline: the line can have hundreds of MB.
func (s *Stream) lineStart(ctx context.Context, f facts, start int64) (begin int64, head []byte, err error) {
	cmd := safe.Script(lineScript, s.paths.withDefaults().out, strconv.FormatInt(start/blockUnit, 10))
	err = run(ctx, s.Conn, "reading the event stream", cmd, nil, func(r io.Reader) error {
		br := bufio.NewReader(r)
		if err := sameFile(br, f); err != nil {
			return err
		}
		word, rest, err := answer(br)
		if err != nil {
			return err
		}
		var first int64
		if _, err := fmt.Sscan(rest, &first); word != "line" || err != nil || first < 0 || first >= start/blockUnit {
			return io.ErrUnexpectedEOF
		}
		begin = first * blockUnit
		head, err = readBlock(br, min(2*blockUnit, f.size-begin))
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	if i := bytes.LastIndexByte(head[:min(blockUnit, len(head))], '\n'); i >= 0 {
		begin, head = begin+int64(i)+1, head[i+1:]
	} else if begin > 0 {
		return 0, nil, errChanged
	}
	return begin, head, nil
}

// look asks for the facts and the last bytes of the stream, want of them or a few
// more.
func (s *Stream) look(ctx context.Context, count, want int64) (f facts, start int64, data []byte, err error) {
	p := s.paths.withDefaults()
	cmd := safe.Script(lookScript, p.out, p.in, p.session, "^l.w.* -> "+basicRegexp(p.out)+"$", strconv.FormatInt(want, 10), strconv.FormatInt(count, 10))
	err = run(ctx, s.Conn, "looking at the lieutenant", cmd, nil, func(r io.Reader) error {
		br := bufio.NewReader(r)
		word, rest, err := answer(br)
		if err != nil || word == "none" {
			return orErr(err, ErrNoLieutenant)
		}
		var writers, answers string
		var modified, now, length int64
		if _, err := fmt.Sscan(rest, &f.tmux, &writers, &f.inode, &f.size, &modified, &now, &answers); err != nil {
			return io.ErrUnexpectedEOF
		}
		f.writers, f.answers = number(writers), number(answers)
		f.now = time.Unix(now, 0)
		if modified > 0 {
			f.modified = time.Unix(modified, 0)
		}
		if _, rest, err = answer(br); err != nil {
			return err
		}
		if _, err := fmt.Sscan(rest, &start, &length); err != nil || start < 0 || length < 0 || length > firstBlock+blockUnit {
			return io.ErrUnexpectedEOF
		}
		data, err = readBlock(br, length)
		return err
	})
	return f, start, data, err
}

// block reads size bytes from start, a multiple of 64 KiB, of the file that look has seen.
func (s *Stream) block(ctx context.Context, f facts, start, size int64) (data []byte, err error) {
	cmd := safe.Script(blockScript, s.paths.withDefaults().out, strconv.FormatInt(start/blockUnit, 10), strconv.FormatInt(size, 10))
	err = run(ctx, s.Conn, "reading the event stream", cmd, nil, func(r io.Reader) error {
		br := bufio.NewReader(r)
		if err := sameFile(br, f); err != nil {
			return err
		}
		data, err = readBlock(br, size)
		return err
	})
	return data, err
}

// sameFile reads the answer of blockScript up to the bytes.
func sameFile(br *bufio.Reader, f facts) error {
	word, rest, err := answer(br)
	if err != nil {
		return err
	}
	var inode uint64
	var size int64
	if _, err := fmt.Sscan(rest, &inode, &size); word != "block" || err != nil || inode != f.inode || size < f.size {
		return errChanged
	}
	return nil
}

// readBlock reads exactly n bytes. Fewer mean that the connection ended or, if not, that the file became shorter.
func readBlock(r io.Reader, n int64) ([]byte, error) {
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, errChanged)
	}
	return data, nil
}

// answer finds the next line of the form "vf:word rest". io.ErrUnexpectedEOF means that there is none.
func answer(br *bufio.Reader) (word, rest string, err error) {
	for {
		line, err := br.ReadSlice('\n')
		if err == nil && bytes.HasPrefix(line, []byte("vf:")) {
			word, rest, _ = strings.Cut(strings.TrimSpace(string(line[3:])), " ")
			return word, rest, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", "", io.ErrUnexpectedEOF
		}
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func orErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// basicRegexp quotes s for grep.
func basicRegexp(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.[]*^$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Raw writes the lines of the last n answers to w as they stand in the stream, complete or not, but without a
// half-written last line; the whole stream if n is 0. It needs no memory for them.
func (s *Stream) Raw(ctx context.Context, n int, w io.Writer) error {
	var f facts
	var start int64
	found := 0
	end, err := s.backward(ctx, 0, func(now facts) { f, start, found = now, 0, 0 }, func(l rawLine) bool {
		if bytes.Contains(l.text, []byte("agent_start")) && l.parse().kind == KindStart {
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
	cmd := safe.Script(blockScript, s.paths.withDefaults().out, strconv.FormatInt(first, 10), strconv.FormatInt(end-first*blockUnit, 10))
	return run(ctx, s.Conn, "reading the event stream", cmd, nil, func(r io.Reader) error {
		br := bufio.NewReader(r)
		if err := sameFile(br, f); err != nil {
			return errUnstable
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

// rawLine is one complete line. Its text may not be kept.
type rawLine struct {
	offset  int64
	text    []byte
	tail    []byte // its end, if text is only its beginning
	cut     bool   // text is only its beginning
	fetched int64  // bytes that came from the VM until now
}

func (l rawLine) parse() parsed { return parseLine(l.text, l.tail, l.cut) }

// lineWalker puts lines together from blocks that come in reverse order.
type lineWalker struct {
	pieces  [][]byte // of the line that continues to the left, in reverse order
	size    int64    // of that line as far as it is known
	begun   bool     // its beginning has been reached
	cut     bool     // pieces hold only its beginning
	tail    []byte   // its end, if it is cut
	fetched int64
	started bool  // a newline was seen, so what is to its left is a complete line
	end     int64 // behind the last complete line; valid if started
}

// block splits one block and calls fn with its lines from the last to the first.
func (w *lineWalker) block(start int64, data []byte, fn func(rawLine) bool) bool {
	for {
		i := bytes.LastIndexByte(data, '\n')
		w.prepend(data[i+1:])
		if i < 0 {
			return true
		}
		if !w.emit(start+int64(i)+1, fn) {
			return false
		}
		if !w.started {
			w.started, w.end = true, start+int64(i)+1
		}
		data = data[:i]
	}
}

// first ends the walk at the beginning of the file.
func (w *lineWalker) first(fn func(rawLine) bool) { w.emit(0, fn) }

func (w *lineWalker) prepend(piece []byte) {
	w.size += int64(len(piece))
	w.pieces = append(w.pieces, piece)
}

// lineTail is how many bytes of the end of a cut line are kept.
const lineTail = 64 << 10

// cutTo keeps of the present line only its beginning and its end; more is the number of bytes that were not fetched.
func (w *lineWalker) cutTo(head []byte, more int64) {
	for _, piece := range w.pieces {
		if len(w.tail) >= lineTail {
			break
		}
		w.tail = slices.Concat(piece[max(len(piece)-lineTail, 0):], w.tail)
	}
	w.pieces, w.size, w.begun, w.cut = [][]byte{head}, w.size+more, true, true
}

func (w *lineWalker) emit(offset int64, fn func(rawLine) bool) bool {
	line := rawLine{offset: offset, cut: w.cut, tail: w.tail, fetched: w.fetched}
	if w.started && w.size > 0 {
		slices.Reverse(w.pieces)
		line.text = slices.Concat(w.pieces...)
	}
	w.pieces, w.size, w.begun, w.cut, w.tail = nil, 0, false, false, nil
	return len(line.text) == 0 || fn(line)
}
