package box

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const followPause = 100 * time.Millisecond

// isPipe reports that nobody reads a command's output any more.
func isPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF)
}

func cmdTail(c *cmd) int {
	s, f, names, ok := c.spanOf("+", "fFs:", "follow=f", "retry=F", "sleep-interval:=s", "pid:=pid")
	if !ok {
		return 1
	}
	follow := f.on("f") || f.on("F")
	if follow && len(names) > 1 {
		return c.failf("following several files: not available in the simulator")
	}
	if f.on("F") && len(names) == 1 {
		if _, err := c.fs.Stat(c.path(names[0])); errors.Is(err, fs.ErrNotExist) {
			c.fail(names[0], err)
			return c.follow(names[0], 0, true)
		}
	}
	end := int64(-1)
	status := c.withTitles(f, names, func(_ string, r io.Reader) (err error) {
		end, err = c.tail(s, r)
		return err
	})
	if !follow || status != 0 || len(names) == 0 || end < 0 {
		return status
	}
	return c.follow(names[0], end, f.on("F"))
}

// tail prints the end of r; for a file that can seek it returns how far the
// file was read, else -1.
func (c *cmd) tail(s span, r io.Reader) (int64, error) {
	file := seeker(r)
	if s.other {
		if err := c.skipFirst(s, r, file); err != nil {
			return -1, err
		}
	} else if file != nil {
		if err := seekLast(file, s); err != nil {
			return -1, err
		}
	} else {
		data, err := lastOf(r, s)
		if err != nil {
			return -1, err
		}
		_, err = c.out.Write(data)
		return -1, err
	}
	if err := c.copy(c.out, r); err != nil {
		return -1, err
	}
	if file == nil {
		return -1, nil
	}
	return file.Seek(0, io.SeekCurrent)
}

// seeker returns the plain file behind r, nil without one.
func seeker(r io.Reader) io.ReadSeeker {
	if f, ok := r.(*ctxFile); ok {
		if reg, ok := f.File.(*regular); ok {
			return reg.File
		}
	}
	return nil
}

// skipFirst leaves out what comes before byte or line n.
func (c *cmd) skipFirst(s span, r io.Reader, file io.Seeker) error {
	skip := max(s.n-1, 0)
	if s.bytes {
		if file != nil {
			_, err := file.Seek(skip, io.SeekStart)
			return err
		}
		_, err := io.CopyN(io.Discard, r, skip)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	one := make([]byte, 1)
	for skip > 0 {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			skip--
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// seekLast goes to the beginning of the last n bytes or lines without
// reading what comes before them.
func seekLast(file io.ReadSeeker, s span) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if s.bytes {
		_, err = file.Seek(max(size-s.n, 0), io.SeekStart)
		return err
	}
	const block = 64 << 10
	need, at := s.n, size
	for at > 0 {
		from := max(at-block, 0)
		buf := make([]byte, at-from)
		if _, err := file.Seek(from, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.ReadFull(file, buf); err != nil {
			return err
		}
		for i := len(buf) - 1; i >= 0; i-- {
			if buf[i] != '\n' || from+int64(i) == size-1 {
				continue
			}
			if need--; need == 0 {
				_, err = file.Seek(from+int64(i)+1, io.SeekStart)
				return err
			}
		}
		at = from
	}
	_, err = file.Seek(0, io.SeekStart)
	if s.n == 0 {
		_, err = file.Seek(0, io.SeekEnd)
	}
	return err
}

// lastOf reads a stream and keeps its end.
func lastOf(r io.Reader, s span) ([]byte, error) {
	var kept []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		kept = append(kept, buf[:n]...)
		if len(kept) > 1<<20 || err != nil {
			kept = bytes.Clone(kept[len(kept)-lastSpan(kept, s):])
		}
		if errors.Is(err, io.EOF) {
			return kept, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// follow prints what is added to a file, from its beginning again when it is
// cut short or, with byName, replaced.
func (c *cmd) follow(name string, from int64, byName bool) int {
	full := c.path(name)
	file, _ := c.fs.Open(c.ctx, full) // missing: tried again below
	defer func() {
		if file != nil {
			_ = file.Close()
		}
	}()
	for wait(c.ctx, followPause) {
		now, err := c.fs.Stat(full)
		if file != nil {
			if open, statErr := file.Stat(); statErr == nil && open.Size() < from {
				from = 0
			}
		}
		if byName && err == nil && (file == nil || replaced(file, now)) {
			if file != nil {
				_ = file.Close()
			}
			if file, err = c.fs.Open(c.ctx, full); err != nil {
				file = nil
				continue
			}
			from = 0
		}
		reg, ok := file.(*regular)
		if !ok {
			continue
		}
		n, err := io.Copy(struct{ io.Writer }{c.out}, io.NewSectionReader(reg.File, from, 1<<62))
		from += n
		if err != nil {
			return 0 // nobody listens any more
		}
	}
	return 0
}

// replaced reports whether an open file is no longer the one with this name.
func replaced(file File, now fs.FileInfo) bool {
	open, err := file.Stat()
	return err == nil && !os.SameFile(plain(open), plain(now))
}

// plain takes our dress off a file's details.
func plain(fi fs.FileInfo) fs.FileInfo {
	if i, ok := fi.(info); ok {
		return i.FileInfo
	}
	return fi
}
