package box

import (
	"bufio"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// found is a file that find looks at.
type found struct {
	shown string // as find prints it
	start string // the starting point it was found from
	full  string
	depth int
	fi    fs.FileInfo
}

// search is one run of find.
type search struct {
	c        *cmd
	out      *bufio.Writer
	test     func(*found) bool
	min, max int
	depth    bool // a folder after what is in it
	follow   bool
	prune    bool // set by -prune for the file at hand
	quit     bool
	status   int
	batches  []*batch // of -exec ... +
}

func cmdFind(c *cmd) int {
	s := &search{c: c, out: bufio.NewWriterSize(c.out, 64<<10), max: -1}
	args := c.args
	for len(args) > 0 && (args[0] == "-L" || args[0] == "-P" || args[0] == "-H") {
		s.follow = args[0] == "-L"
		args = args[1:]
	}
	var starts []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "(" && args[0] != "!" {
		starts = append(starts, args[0])
		args = args[1:]
	}
	if len(starts) == 0 {
		starts = []string{"."}
	}
	p := &findParser{s: s, args: args}
	test, err := p.whole()
	if err != nil {
		return c.failf("%v", err)
	}
	s.test = test
	for _, start := range starts {
		s.start(start)
	}
	for _, b := range s.batches {
		b.flush()
	}
	if err := s.out.Flush(); err != nil {
		return 1
	}
	return s.status
}

func (s *search) start(name string) {
	full := s.c.path(name)
	fi, err := s.c.fs.stat(full, s.follow)
	if err != nil {
		s.complain(name, err)
		return
	}
	s.visit(&found{shown: name, start: name, full: full, fi: fi})
}

func (s *search) complain(name string, err error) {
	fmt.Fprintf(s.c.err, "find: ‘%s’: %s\n", name, reason(err))
	s.status = 1
}

// visit looks at a file and, for a folder, at what is in it.
func (s *search) visit(f *found) {
	if s.quit || s.c.ctx.Err() != nil {
		return
	}
	s.prune = false
	if !s.depth && f.depth >= s.min {
		s.test(f)
	}
	if f.fi.IsDir() && !s.prune && (s.max < 0 || f.depth < s.max) {
		s.children(f)
	}
	if s.depth && f.depth >= s.min && !s.quit {
		s.test(f)
	}
}

func (s *search) children(f *found) {
	entries, err := s.c.fs.ReadDir(f.full)
	if err != nil {
		s.complain(f.shown, err)
		return
	}
	for _, e := range entries {
		full := path.Join(f.full, e.Name())
		fi, err := s.c.fs.Entry(full, e)
		if err == nil && s.follow && fi.Mode()&fs.ModeSymlink != 0 {
			if to, statErr := s.c.fs.Stat(full); statErr == nil && f.depth < maxLinks {
				fi = to
			}
		}
		if err != nil {
			continue // gone meanwhile
		}
		shown := strings.TrimSuffix(f.shown, "/") + "/" + e.Name()
		s.visit(&found{shown: shown, start: f.start, full: full, depth: f.depth + 1, fi: fi})
	}
}

// print writes one file's details in the format of -printf.
func (s *search) print(f *found, format string) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			s.out.WriteByte(format[i])
			continue
		}
		i++
		if strings.IndexByte("TAC", format[i]) >= 0 && i+1 < len(format) {
			i++
			text, _ := timePart(f.fi.ModTime().UTC(), format[i]) // checked when parsed
			s.out.WriteString(text)
			continue
		}
		s.out.WriteString(s.part(f, format[i]))
	}
}

// part is one letter of -printf.
func (s *search) part(f *found, letter byte) string {
	sys := sysOf(f.fi)
	switch letter {
	case '%':
		return "%"
	case 'p':
		return f.shown
	case 'P':
		return strings.TrimPrefix(strings.TrimPrefix(f.shown, f.start), "/")
	case 'H':
		return f.start
	case 'f':
		return path.Base(f.shown)
	case 'h':
		return path.Dir(f.shown)
	case 'y':
		return typeLetter(f.fi.Mode())
	case 'Y':
		to, err := s.c.fs.Stat(f.full)
		if err != nil {
			return "N"
		}
		return typeLetter(to.Mode())
	case 's':
		return fmt.Sprint(f.fi.Size())
	case 'b':
		return fmt.Sprint(sys.blocks)
	case 'k':
		return fmt.Sprint((sys.blocks + 1) / 2)
	case 'm':
		return fmt.Sprintf("%o", unixMode(f.fi.Mode()))
	case 'M':
		return modeText(f.fi.Mode())
	case 'l':
		if f.fi.Mode()&fs.ModeSymlink == 0 {
			return ""
		}
		target, _ := s.c.fs.Readlink(f.full) // gone meanwhile: nothing to show
		return target
	case 'i':
		return fmt.Sprint(sys.ino)
	case 'D':
		return fmt.Sprint(sys.dev)
	case 'n':
		return fmt.Sprint(sys.nlink)
	case 'd':
		return fmt.Sprint(f.depth)
	case 'u', 'g':
		return "root"
	case 'U', 'G':
		return "0"
	case 't':
		text, _ := timePart(f.fi.ModTime().UTC(), 'c')
		return text
	}
	return ""
}

// badFormat finds a letter that print does not know.
func badFormat(format string) string {
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if strings.IndexByte("TAC", format[i]) >= 0 && i+1 < len(format) {
			i++
			if _, ok := timePart(zeroTime(), format[i]); !ok {
				return format[i-2 : i+1]
			}
		} else if strings.IndexByte("%pPHfhyYsbkmMliDndugUGt", format[i]) < 0 {
			return format[i-1 : i+1]
		}
	}
	return ""
}
