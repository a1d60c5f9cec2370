package box

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// found is a file that find looks at.
type found struct {
	shown string // as find prints it
	start string // the starting point it was found from
	full  string
	fi    fs.FileInfo
}

// search is one run of find: all its tests must agree, in their order, before
// its actions are done.
type search struct {
	*cmd
	out    *bufio.Writer
	max    int // depth, -1 without a limit
	tests  []func(*found) bool
	execs  []*findExec
	acts   bool // an action was given: no -print of its own
	status int
}

func cmdFind(c *cmd) int {
	s := &search{cmd: c, out: bufio.NewWriterSize(c.out, 64<<10), max: -1}
	args := c.args
	follow := len(args) > 0 && args[0] == "-H" // links that are named, not those found
	if follow {
		args = args[1:]
	}
	var starts []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		starts, args = append(starts, args[0]), args[1:]
	}
	if len(starts) == 0 {
		starts = []string{"."}
	}
	if err := s.parse(args); err != nil {
		return c.failf("%v", err)
	}
	for _, start := range starts {
		full := c.path(start)
		fi, err := c.fs.look(full, follow)
		if err != nil && follow {
			fi, err = c.fs.lstat(full)
		}
		if err != nil {
			s.complain(start, err)
			continue
		}
		s.visit(&found{shown: start, start: start, full: full, fi: fi}, 0)
	}
	for _, e := range s.execs {
		e.flush()
	}
	if err := s.out.Flush(); err != nil {
		return 1
	}
	return s.status
}

// parse reads the expression: tests and actions, all of which must hold.
func (s *search) parse(args []string) error {
	for len(args) > 0 {
		name := args[0]
		if name == "-print" || name == "-print0" {
			s.print("%p" + map[string]string{"-print": "\n", "-print0": "\x00"}[name])
			args = args[1:]
			continue
		}
		if len(args) < 2 {
			return fmt.Errorf("%s: not available in the simulator, or its argument is missing", name)
		}
		value, rest := args[1], args[2:]
		switch name {
		case "-maxdepth":
			n, err := strconv.Atoi(value)
			if err != nil {
				return err
			}
			s.max = n
		case "-name":
			if strings.ContainsAny(value, `*?[\`) {
				return fmt.Errorf("-name %s: patterns: not available in the simulator", value)
			}
			s.tests = append(s.tests, func(f *found) bool { return path.Base(f.shown) == value })
		case "-type":
			s.tests = append(s.tests, func(f *found) bool { return typeLetter(f.fi.Mode()) == value })
		case "-printf":
			if bad := badFormat(value); bad != "" {
				return fmt.Errorf("-printf %s: not available in the simulator", bad)
			}
			s.print(unescape(value))
		case "-exec":
			e, n, err := s.exec(args[1:])
			if err != nil {
				return err
			}
			s.tests, s.acts, rest = append(s.tests, e), true, args[1+n:]
		default:
			return fmt.Errorf("%s: not available in the simulator", name)
		}
		args = rest
	}
	if !s.acts {
		s.print("%p\n")
	}
	return nil
}

func (s *search) complain(name string, err error) {
	fmt.Fprintf(s.err, "find: '%s': %s\n", name, reason(err))
	s.status = 1
}

// visit looks at a file and, for a folder, at what is in it.
func (s *search) visit(f *found, depth int) {
	if s.ctx.Err() != nil {
		return
	}
	for _, test := range s.tests {
		if !test(f) {
			break
		}
	}
	if !f.fi.IsDir() || s.max >= 0 && depth >= s.max {
		return
	}
	entries, err := s.fs.readDir(f.full)
	if err != nil {
		s.complain(f.shown, err)
		return
	}
	for _, e := range entries {
		full := path.Join(f.full, e.Name())
		if fi, err := s.fs.entry(full, e); err == nil { // else: gone meanwhile
			shown := strings.TrimSuffix(f.shown, "/") + "/" + e.Name()
			s.visit(&found{shown: shown, start: f.start, full: full, fi: fi}, depth+1)
		}
	}
}

// print adds the action of -printf.
func (s *search) print(format string) {
	s.acts = true
	s.tests = append(s.tests, func(f *found) bool {
		for i := 0; i < len(format); i++ {
			if format[i] != '%' {
				s.out.WriteByte(format[i])
				continue
			}
			if i++; format[i] == 'T' { // %T@
				i++
			}
			s.out.WriteString(s.part(f, format[i]))
		}
		return true
	})
}

// badFormat finds what print does not know.
func badFormat(format string) string {
	format = strings.ReplaceAll(format, "%T@", "")
	for i := strings.IndexByte(format, '%'); i >= 0; i = strings.IndexByte(format, '%') {
		if letter := format[i+1:]; letter == "" || !strings.Contains("%pPysmlDinb", letter[:1]) {
			return format[i:min(i+2, len(format))]
		}
		format = format[i+2:]
	}
	return ""
}

// part is one letter of -printf, "@" the time of %T@.
func (s *search) part(f *found, letter byte) string {
	switch letter {
	case '%':
		return "%"
	case 'p':
		return f.shown
	case 'P':
		return strings.TrimPrefix(strings.TrimPrefix(f.shown, f.start), "/")
	case 'y':
		return typeLetter(f.fi.Mode())
	case 'm':
		return fmt.Sprintf("%o", unixMode(f.fi.Mode()))
	case '@':
		when := f.fi.ModTime()
		return fmt.Sprintf("%d.%09d0", when.Unix(), when.Nanosecond())
	case 'l':
		if f.fi.Mode()&fs.ModeSymlink == 0 {
			return ""
		}
		target, _ := s.fs.readlink(f.full) // gone meanwhile: nothing to show
		return target
	}
	sys := sysOf(f.fi)
	switch letter {
	case 's':
		return fmt.Sprint(f.fi.Size())
	case 'D':
		return fmt.Sprint(sys.dev)
	case 'i':
		return fmt.Sprint(sys.ino)
	case 'n':
		return fmt.Sprint(sys.nlink)
	case 'b':
		return fmt.Sprint(sys.blocks)
	}
	return ""
}

// findExec is -exec COMMAND... {} +: names are collected, as many as fit.
type findExec struct {
	s     *search
	args  []string
	names []string
	room  int
}

// exec parses what follows -exec, and tells how many words that were.
func (s *search) exec(args []string) (test func(*found) bool, words int, err error) {
	for i := 2; i < len(args); i++ {
		if args[i] == "+" && args[i-1] == "{}" {
			e := &findExec{s: s, args: args[:i-1], room: argRoom}
			s.execs = append(s.execs, e)
			return e.add, i + 1, nil
		}
	}
	return nil, 0, errors.New("-exec other than with {} +: not available in the simulator")
}

func (e *findExec) add(f *found) bool {
	if e.room -= len(f.shown) + 1; e.room < 0 {
		e.flush()
	}
	e.names = append(e.names, f.shown)
	return true
}

func (e *findExec) flush() {
	if len(e.names) == 0 {
		return
	}
	_ = e.s.out.Flush() // what was printed comes first; a closed pipe shows at the end
	if e.s.child(slices.Concat(e.args, e.names)) != 0 {
		e.s.status = 1
	}
	e.names, e.room = nil, argRoom
}
