package box

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// copy moves bytes in large pieces and ends with the command.
func (c *cmd) copy(w io.Writer, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return err
}

func cmdCat(c *cmd) int {
	_, names, ok := c.parse("")
	if !ok {
		return 1
	}
	return c.eachInput(names, func(_ string, r io.Reader) error { return c.copy(c.out, r) })
}

// lines calls fn with every line, its newline included, until fn says no.
func lines(r io.Reader, fn func(line []byte) (more bool, err error)) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 {
			if more, err := fn(line); err != nil || !more {
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

// cmdHead prints the first bytes or lines of its input.
func cmdHead(c *cmd) int {
	f, names, ok := c.parse("n:c:")
	if !ok {
		return 1
	}
	if len(names) > 1 {
		return c.failf("several files: not available in the simulator")
	}
	left := int64(10)
	text, isBytes := f.get("c")
	if !isBytes {
		text, ok = f.get("n")
	}
	if ok || isBytes {
		var err error
		if left, err = number(text); err != nil || left < 0 {
			return c.failf("invalid number: '%s'", text)
		}
	}
	return c.eachInput(names, func(_ string, r io.Reader) error {
		if isBytes {
			return c.copy(c.out, io.LimitReader(r, left))
		}
		if left == 0 {
			return nil
		}
		return lines(r, func(line []byte) (bool, error) {
			left--
			_, err := c.out.Write(line)
			return left > 0, err
		})
	})
}

// cmdTr deletes bytes, or replaces each by another.
func cmdTr(c *cmd) int {
	sets := c.args
	others := len(sets) > 0 && sets[0] == "-dc" // the bytes that are not named
	remove := others || len(sets) > 0 && sets[0] == "-d"
	if remove {
		sets = []string{sets[len(sets)-1], ""}
	}
	if len(c.args) != 2 || strings.ContainsAny(sets[0]+sets[1], "-[") {
		return c.failf("other than -d BYTES, -dc BYTES, and BYTES OTHERS: not available in the simulator")
	}
	from, to := unescape(sets[0]), unescape(sets[1])
	if !remove && len(from) != len(to) {
		return c.failf("sets of different size: not available in the simulator")
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := c.in.Read(buf)
		kept := buf[:0:n]
		for _, b := range buf[:n] {
			if at := strings.LastIndexByte(from, b); at < 0 != others {
				kept = append(kept, b)
			} else if !remove {
				kept = append(kept, to[at])
			}
		}
		if _, err := c.out.Write(kept); err != nil {
			return 141
		}
		if errors.Is(err, io.EOF) {
			return 0
		}
		if err != nil {
			return 1
		}
	}
}

// cmdWc counts the lines or bytes of its input.
func cmdWc(c *cmd) int {
	f, names, ok := c.parse("lc")
	if !ok || len(f.count) != 1 || len(names) > 1 {
		return c.failf("other than -l or -c of one file: not available in the simulator")
	}
	return c.eachInput(names, func(name string, r io.Reader) error {
		buf, n := make([]byte, 256<<10), 0
		for {
			got, err := r.Read(buf)
			if f.on("c") {
				n += got
			} else {
				n += bytes.Count(buf[:got], []byte("\n"))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		shown := ""
		if name != "-" {
			shown = " " + name
		}
		_, err := fmt.Fprintf(c.out, "%d%s\n", n, shown)
		return err
	})
}

// cmdGrep prints, or with -c counts, the lines that match one of the basic
// regular expressions, or with -F hold one of the texts.
func cmdGrep(c *cmd) int {
	f, names, ok := c.parse("cFe:")
	if !ok {
		return 2
	}
	patterns := f.all("e")
	if len(patterns) == 0 && len(names) > 0 {
		patterns, names = names[:1], names[1:]
	}
	if len(patterns) == 0 || len(names) > 1 {
		return c.usage(2, "need a pattern and at most one file")
	}
	for i, p := range patterns {
		if f.on("F") {
			patterns[i] = regexp.QuoteMeta(p)
			continue
		}
		for _, op := range []string{"|", "(", ")", "{", "}", "+", "?"} { // in a basic expression the ones with a backslash
			p = strings.ReplaceAll(p, "\\"+op, "\x00")
			p = strings.ReplaceAll(p, op, "\\"+op)
			p = strings.ReplaceAll(p, "\x00", op)
		}
		patterns[i] = "(?:" + p + ")"
	}
	re, err := regexp.Compile(strings.Join(patterns, "|"))
	if err != nil {
		return c.usage(2, "%v", err)
	}
	hits := 0
	status := c.eachInput(names, func(_ string, r io.Reader) error {
		return lines(r, func(line []byte) (bool, error) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if !re.Match(line) {
				return true, nil
			}
			if hits++; f.on("c") {
				return true, nil
			}
			_, err := fmt.Fprintf(c.out, "%s\n", line)
			return true, err
		})
	})
	if f.on("c") {
		fmt.Fprintln(c.out, hits)
	}
	if hits > 0 && status == 0 {
		return 0
	}
	return max(status*2, 1)
}

// rewritePrintf does the work of %.3s, which the interpreter's printf does not
// know: it cuts the arguments and leaves %s to be done.
func rewritePrintf(args []string) []string {
	if len(args) < 2 || !strings.Contains(args[1], "%.") {
		return args
	}
	verbs := regexp.MustCompile(`%[-+ #0]*[0-9]*(\.[0-9]+)?([a-zA-Z%])`)
	var cuts []int // of each verb that takes an argument, -1 for none
	format := verbs.ReplaceAllStringFunc(args[1], func(verb string) string {
		flags, digits, found := strings.Cut(strings.TrimSuffix(verb, "s"), ".")
		switch n, err := strconv.Atoi(digits); {
		case found && err == nil && verb[len(verb)-1] == 's':
			cuts = append(cuts, n)
			return flags + "s"
		case verb[len(verb)-1] != '%':
			cuts = append(cuts, -1)
		}
		return verb
	})
	args = slices.Clone(args)
	args[1] = format
	for i, arg := range args[2:] {
		if n := cuts[i%max(len(cuts), 1)]; n >= 0 {
			args[2+i] = arg[:min(n, len(arg))]
		}
	}
	return args
}

// posixOctal writes the escapes \0ddd of %b (POSIX, printf) as \ddd, which is
// what the interpreter's printf takes them for.
func posixOctal(args []string) []string {
	if len(args) < 3 || !strings.Contains(args[1], "%b") {
		return args
	}
	escape := regexp.MustCompile(`\\\\|\\0[0-7]{1,3}`)
	args = slices.Clone(args)
	for i := range args[2:] {
		args[2+i] = escape.ReplaceAllStringFunc(args[2+i], func(e string) string {
			v, err := strconv.ParseUint(e[1:], 8, 16)
			if err != nil { // an escaped backslash
				return e
			}
			return fmt.Sprintf(`\%03o`, v&0xff)
		})
	}
	return args
}
