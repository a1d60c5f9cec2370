package box

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// eachInput calls fn with every named file, or standard input without names.
func (c *cmd) eachInput(names []string, fn func(name string, r io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	status := 0
	for _, name := range names {
		r, err := c.input(name)
		if err != nil {
			status = c.fail(name, err)
			continue
		}
		err = fn(name, r)
		_ = r.Close()
		if err != nil {
			if c.ctx.Err() != nil || isPipe(err) {
				return 141
			}
			status = c.fail(name, err)
		}
	}
	return status
}

func cmdCat(c *cmd) int {
	f, names, ok := c.parse("nuAvET", "number=n")
	if !ok {
		return 1
	}
	if f.on("A") || f.on("v") || f.on("E") || f.on("T") {
		return c.failf("showing control characters: not available in the simulator")
	}
	line := 0
	return c.eachInput(names, func(_ string, r io.Reader) error {
		if !f.on("n") {
			return c.copy(c.out, r)
		}
		return lines(r, func(text []byte) error {
			line++
			_, err := fmt.Fprintf(c.out, "%6d\t%s", line, text)
			return err
		})
	})
}

// copy moves bytes in large pieces and ends with the command.
func (c *cmd) copy(w io.Writer, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return err
}

// lines calls fn with every line, its newline included.
func lines(r io.Reader, fn func(line []byte) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 {
			if err := fn(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func cmdTac(c *cmd) int {
	_, names, ok := c.parse("")
	if !ok {
		return 1
	}
	return c.eachInput(names, func(_ string, r io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(r, maxCapture))
		if err != nil {
			return err
		}
		parts := bytes.SplitAfter(data, []byte("\n"))
		for i := len(parts) - 1; i >= 0; i-- {
			if _, err := c.out.Write(parts[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// span is what head and tail print: a number of bytes or lines, counted from
// the other end if signed so.
type span struct {
	bytes bool
	n     int64
	other bool // head -n -N, tail -n +N
}

// spanOf reads -n and -c, and the old form -5.
func (c *cmd) spanOf(sign string, extra string, long ...string) (s span, f flags, names []string, ok bool) {
	if len(c.args) > 0 && len(c.args[0]) > 1 && c.args[0][0] == '-' && strings.Trim(c.args[0][1:], "0123456789") == "" {
		c.args = append([]string{"-n", c.args[0][1:]}, c.args[1:]...)
	}
	f, names, ok = c.parse("n:c:qvz"+extra, append(long, "lines:=n", "bytes:=c", "quiet=q", "verbose=v")...)
	if !ok {
		return s, f, nil, false
	}
	if f.on("z") {
		c.failf("option -z: not available in the simulator")
		return s, f, nil, false
	}
	text, isBytes := f.get("c")
	s = span{bytes: isBytes, n: 10}
	if !isBytes {
		if text, ok = f.get("n"); !ok {
			return s, f, names, true
		}
	}
	s.other = strings.HasPrefix(text, sign)
	n, err := number(strings.TrimLeft(text, "+-"))
	if err != nil {
		c.failf("%v", err)
		return s, f, nil, false
	}
	s.n = n
	return s, f, names, true
}

func cmdHead(c *cmd) int {
	s, f, names, ok := c.spanOf("-", "")
	if !ok {
		return 1
	}
	return c.withTitles(f, names, func(_ string, r io.Reader) error { return c.head(s, r) })
}

// withTitles prints the names of several files, as head and tail do.
func (c *cmd) withTitles(f flags, names []string, fn func(string, io.Reader) error) int {
	first := true
	return c.eachInput(names, func(name string, r io.Reader) error {
		if (len(names) > 1 && !f.on("q")) || f.on("v") {
			gap := "\n"
			if first {
				gap = ""
			}
			if _, err := fmt.Fprintf(c.out, "%s==> %s <==\n", gap, name); err != nil {
				return err
			}
		}
		first = false
		return fn(name, r)
	})
}

func (c *cmd) head(s span, r io.Reader) error {
	switch {
	case s.other:
		data, err := io.ReadAll(io.LimitReader(r, maxCapture))
		if err != nil {
			return err
		}
		_, err = c.out.Write(data[:len(data)-lastSpan(data, s)])
		return err
	case s.bytes:
		return c.copy(c.out, io.LimitReader(r, s.n))
	case s.n == 0:
		return nil
	}
	left := s.n
	err := lines(r, func(line []byte) error {
		if _, err := c.out.Write(line); err != nil {
			return err
		}
		if left--; left == 0 {
			return io.ErrNoProgress
		}
		return nil
	})
	if errors.Is(err, io.ErrNoProgress) {
		return nil
	}
	return err
}

// lastSpan is the length of the last n bytes or lines.
func lastSpan(data []byte, s span) int {
	if s.bytes {
		return int(min(s.n, int64(len(data))))
	}
	at := len(data)
	for n := s.n; n > 0 && at > 0; n-- {
		at = bytes.LastIndexByte(data[:at-1], '\n') + 1
	}
	return len(data) - at
}

// wait pauses a command, and reports whether it is to go on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
