package box

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func cmdSort(c *cmd) int {
	f, names, ok := c.parse("rnuzk:t:fbsVh", "reverse=r", "numeric-sort=n", "unique=u", "zero-terminated=z", "key:=k", "field-separator:=t")
	if !ok {
		return 2
	}
	if f.on("V") || f.on("h") {
		return c.failf("options -V and -h: not available in the simulator")
	}
	end := endByte(f)
	var all []string
	if c.eachInput(names, func(_ string, r io.Reader) error {
		return records(r, end, func(text string) error { all = append(all, text); return nil })
	}) != 0 {
		return 2
	}
	key := sortKey(f)
	slices.SortStableFunc(all, func(a, b string) int {
		ka, kb := key(a), key(b)
		order := strings.Compare(ka, kb)
		if f.on("n") {
			na, nb := leading(ka), leading(kb)
			order = 0
			if na < nb {
				order = -1
			} else if na > nb {
				order = 1
			} else if !f.on("u") {
				order = strings.Compare(a, b)
			}
		}
		if f.on("r") {
			order = -order
		}
		return order
	})
	if f.on("u") {
		all = slices.CompactFunc(all, func(a, b string) bool { return key(a) == key(b) })
	}
	out := bufio.NewWriter(c.out)
	for _, text := range all {
		out.WriteString(text)
		out.WriteByte(end)
	}
	return c.flush(out)
}

func (c *cmd) flush(out *bufio.Writer) int {
	if out.Flush() != nil {
		return 141
	}
	return 0
}

func endByte(f flags) byte {
	if f.on("z") {
		return 0
	}
	return '\n'
}

// records calls fn with each record, without its end.
func records(r io.Reader, end byte, fn func(string) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		text, err := br.ReadString(end)
		if err != nil && text == "" {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := fn(strings.TrimSuffix(text, string(end))); err != nil {
			return err
		}
	}
}

// sortKey is the part of a line that -k and -t choose: whole fields only.
func sortKey(f flags) func(string) string {
	text, given := f.get("k")
	if !given {
		return func(s string) string { return s }
	}
	first, _, _ := strings.Cut(text, ",")
	n, _ := strconv.Atoi(strings.TrimRight(first, "nr")) // 0 means the whole line
	sep, hasSep := f.get("t")
	return func(s string) string {
		fields := strings.Fields(s)
		if hasSep {
			fields = strings.Split(s, sep)
		}
		if n < 1 || n > len(fields) {
			return ""
		}
		return strings.Join(fields[n-1:], " ")
	}
}

func leading(text string) float64 {
	text = strings.TrimLeft(text, " \t")
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.' || end == 0 && text[end] == '-') {
		end++
	}
	n, _ := strconv.ParseFloat(text[:end], 64) // no number counts as 0, as in sort
	return n
}

func cmdUniq(c *cmd) int {
	f, names, ok := c.parse("cduz", "count=c", "repeated=d", "unique=u", "zero-terminated=z")
	if !ok || len(names) > 1 {
		return 1
	}
	out := bufio.NewWriter(c.out)
	end := endByte(f)
	last, n := "", 0
	emit := func() {
		if n == 0 || f.on("d") && n < 2 || f.on("u") && n > 1 {
			return
		}
		if f.on("c") {
			fmt.Fprintf(out, "%7d ", n)
		}
		out.WriteString(last)
		out.WriteByte(end)
	}
	status := c.eachInput(names, func(_ string, r io.Reader) error {
		return records(r, end, func(text string) error {
			if n > 0 && text == last {
				n++
				return nil
			}
			emit()
			last, n = text, 1
			return nil
		})
	})
	emit()
	return max(status, c.flush(out))
}

func cmdCut(c *cmd) int {
	f, names, ok := c.parse("d:f:c:b:s", "delimiter:=d", "fields:=f", "characters:=c", "bytes:=b", "only-delimited=s")
	if !ok {
		return 1
	}
	delim, given := f.get("d")
	if !given {
		delim = "\t"
	}
	list, fields := f.get("f")
	for _, letter := range []string{"c", "b"} {
		if text, given := f.get(letter); given {
			list, delim = text, ""
		}
	}
	if list == "" {
		return c.failf("you must specify a list of bytes, characters, or fields")
	}
	out := bufio.NewWriter(c.out)
	status := c.eachInput(names, func(_ string, r io.Reader) error {
		return records(r, '\n', func(text string) error {
			if fields && !strings.Contains(text, delim) {
				if f.on("s") {
					return nil
				}
				_, err := fmt.Fprintln(out, text)
				return err
			}
			var kept []string
			for i, part := range strings.Split(text, delim) {
				if inList(list, i+1) {
					kept = append(kept, part)
				}
			}
			_, err := fmt.Fprintln(out, strings.Join(kept, delim))
			return err
		})
	})
	return max(status, c.flush(out))
}

// inList reads lists such as 1,3-5,7-.
func inList(list string, n int) bool {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		switch {
		case !isRange && errA == nil && a == n:
			return true
		case isRange && (from == "" || errA == nil && a <= n) && (to == "" || errB == nil && n <= b):
			return true
		}
	}
	return false
}

func cmdGrep(c *cmd) int {
	f, rest, ok := c.parse("EFivnclqwxohHsae:rRm:", "ignore-case=i", "invert-match=v", "count=c", "quiet=q", "fixed-strings=F",
		"extended-regexp=E", "only-matching=o", "line-number=n", "files-with-matches=l", "color:=color", "text=a")
	if !ok {
		return 2
	}
	if f.on("r") || f.on("R") {
		return c.failf("searching folders: not available in the simulator; use find -exec grep")
	}
	patterns := f.all("e")
	if len(patterns) == 0 {
		if len(rest) == 0 {
			return c.failf("missing pattern")
		}
		patterns, rest = rest[:1], rest[1:]
	}
	re, err := grepPattern(f, patterns)
	if err != nil {
		c.failf("%v", err)
		return 2
	}
	limit := int64(-1)
	if text, given := f.get("m"); given {
		if limit, err = number(text); err != nil {
			c.failf("%v", err)
			return 2
		}
	}
	g := &grep{cmd: c, f: f, re: re, limit: limit, named: len(rest) > 1 && !f.on("h") || f.on("H")}
	status := c.eachInput(rest, g.file)
	if g.hits > 0 && (status == 0 || f.on("q")) {
		return 0
	}
	return max(status*2, 1)
}

func grepPattern(f flags, patterns []string) (*regexp.Regexp, error) {
	for i, p := range patterns {
		switch {
		case f.on("F"):
			p = regexp.QuoteMeta(p)
		case !f.on("E"): // basic: the operators are the ones with a backslash
			for _, op := range []string{"|", "(", ")", "{", "}", "+", "?"} {
				p = strings.ReplaceAll(p, "\\"+op, "\x00")
				p = strings.ReplaceAll(p, op, "\\"+op)
				p = strings.ReplaceAll(p, "\x00", op)
			}
		}
		patterns[i] = "(?:" + p + ")"
	}
	expr := strings.Join(patterns, "|")
	if f.on("w") {
		expr = `\b(?:` + expr + `)\b`
	}
	if f.on("x") {
		expr = `^(?:` + expr + `)$`
	}
	if f.on("i") {
		expr = "(?i)" + expr
	}
	return regexp.Compile(expr)
}

// grep is one run of grep.
type grep struct {
	*cmd
	f     flags
	re    *regexp.Regexp
	limit int64
	named bool
	hits  int
}

func (g *grep) file(name string, r io.Reader) error {
	hits, line := int64(0), 0
	out := bufio.NewWriter(g.out)
	err := lines(r, func(text []byte) error {
		line++
		text = bytes.TrimSuffix(text, []byte("\n"))
		if g.re.Match(text) == g.f.on("v") || g.limit >= 0 && hits >= g.limit {
			return nil
		}
		hits++
		if g.f.on("q") || g.f.on("l") || g.f.on("c") {
			return nil
		}
		parts := [][]byte{text}
		if g.f.on("o") {
			parts = g.re.FindAll(text, -1)
		}
		for _, part := range parts {
			if g.named {
				fmt.Fprintf(out, "%s:", name)
			}
			if g.f.on("n") {
				fmt.Fprintf(out, "%d:", line)
			}
			if _, err := fmt.Fprintf(out, "%s\n", part); err != nil {
				return err
			}
		}
		return nil
	})
	g.hits += int(hits)
	if g.f.on("l") && hits > 0 {
		fmt.Fprintln(out, name)
	}
	if g.f.on("c") {
		if g.named {
			fmt.Fprintf(out, "%s:", name)
		}
		fmt.Fprintln(out, hits)
	}
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

func cmdTee(c *cmd) int {
	f, names, ok := c.parse("ai", "append=a")
	if !ok {
		return 1
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if f.on("a") {
		flag = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	writers := []io.Writer{c.out}
	status := 0
	for _, name := range names {
		file, err := c.fs.OpenFile(c.ctx, c.path(name), flag, 0o644)
		if err != nil {
			status = c.fail(name, err)
			continue
		}
		defer file.Close()
		writers = append(writers, struct{ io.Writer }{file})
	}
	if err := c.copy(io.MultiWriter(writers...), c.in); err != nil {
		return c.failf("%s", reason(err))
	}
	return status
}
