package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// ErrOutputClosed is returned by writes to Streams.Out after the reader of
// stdout has gone away. The program then ends quietly with success.
var ErrOutputClosed = errors.New("the reader of stdout is gone")

// fallbackWidth is what a terminal of unknown size is taken for.
const fallbackWidth = 80

// Rules are the switches a person sets by flag.
type Rules struct {
	NoColor    bool
	NoProgress bool
	Quiet      bool
	Verbose    bool
	NoAsking   bool // nobody is to be asked anything
}

// Streams are the three standard streams and what may be done with them. All
// methods may be called from several goroutines; Configure must come first.
type Streams struct {
	In  io.Reader
	Out io.Writer // the answer; reports ErrOutputClosed once the reader is gone
	Err io.Writer // everything else; keeps clear of a spinner or progress display

	inFile, outFile, errFile *os.File // nil in tests
	getenv                   func(string) string
	rules                    Rules
	forced                   *forced
	display                  *display
	answered                 *atomic.Bool // a value was printed in a format made from JSON
}

// forced replaces what the terminal would say, for tests.
type forced struct {
	terminal bool // all three streams are one
	width    int
}

// System returns the streams of this process.
func System(getenv func(string) string) *Streams {
	s := &Streams{answered: new(atomic.Bool), In: os.Stdin, inFile: os.Stdin, outFile: os.Stdout, errFile: os.Stderr, getenv: getenv}
	s.Out = &pipeWriter{w: os.Stdout}
	s.display = &display{w: os.Stderr}
	s.Err = s.display
	return s
}

// Buffers are the test doubles behind streams from Fake.
type Buffers struct{ In, Out, Err *bytes.Buffer }

// Fake returns streams over buffers. terminal says whether they pretend to be
// a terminal of the given width; the environment is empty.
func Fake(terminal bool, width int) (*Streams, Buffers) {
	b := Buffers{new(bytes.Buffer), new(bytes.Buffer), new(bytes.Buffer)}
	s := &Streams{
		answered: new(atomic.Bool), In: b.In, Out: b.Out, getenv: fakeEnv,
		forced: &forced{terminal: terminal, width: width},
	}
	s.display = &display{w: b.Err}
	s.Err = s.display
	return s, b
}

// fakeEnv is the environment of streams in memory: that of any terminal.
func fakeEnv(name string) string {
	if name == "TERM" {
		return "xterm"
	}
	return ""
}

// Configure sets the rules from the flags.
func (s *Streams) Configure(r Rules) { s.rules = r }

// Answered reports whether a value was printed in a format made from JSON.
func (s *Streams) Answered() bool { return s.answered.Load() }

// Quiet reports whether only errors may be written to Err.
func (s *Streams) Quiet() bool { return s.rules.Quiet }

// Verbose reports whether details are wanted on Err.
func (s *Streams) Verbose() bool { return s.rules.Verbose }

// OutTerminal reports whether Out is a terminal.
func (s *Streams) OutTerminal() bool { return s.isTerminal(s.outFile) }
func (s *Streams) errTerminal() bool { return s.isTerminal(s.errFile) }
func (s *Streams) inTerminal() bool  { return s.isTerminal(s.inFile) }

func (s *Streams) isTerminal(f *os.File) bool {
	if s.forced != nil {
		return s.forced.terminal
	}
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// OutFile returns the file behind Out, or nil.
func (s *Streams) OutFile() *os.File { return s.outFile }

// ErrFile returns the file behind Err, or nil.
func (s *Streams) ErrFile() *os.File { return s.errFile }

// outWidth and errWidth are the widths of the terminals in columns, asked anew at
// every call so that a resize is followed; 0 where there is none.
func (s *Streams) outWidth() int { return s.width(s.OutTerminal(), s.outFile) }
func (s *Streams) errWidth() int { return s.width(s.errTerminal(), s.errFile) }

func (s *Streams) width(terminal bool, f *os.File) int {
	if !terminal {
		return 0
	}
	if s.forced != nil {
		return s.forced.width
	}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return fallbackWidth
}

// errHeight is the height of the terminal behind Err in lines.
func (s *Streams) errHeight() int {
	if s.errFile != nil {
		if _, h, err := term.GetSize(int(s.errFile.Fd())); err == nil && h > 0 {
			return h
		}
	}
	return 24
}

// plain reports whether the environment asks for no escape sequences at all.
func (s *Streams) plain() bool {
	term := s.getenv("TERM")
	return term == "dumb" || term == "" && runtime.GOOS != "windows" || truthy(s.getenv("CI"))
}

// Moving reports whether Err may show a spinner or a progress display.
func (s *Streams) Moving() bool {
	return s.errTerminal() && !s.rules.NoProgress && !s.rules.Quiet && !s.plain()
}

// OutStyle returns the styles allowed on Out.
func (s *Streams) OutStyle() Styler { return Styler{on: s.OutTerminal() && s.colour()} }

// ErrStyle returns the styles allowed on Err.
func (s *Streams) ErrStyle() Styler { return Styler{on: s.errTerminal() && s.colour()} }

// colour follows no-color.org: NO_COLOR counts when set and not empty.
func (s *Streams) colour() bool {
	return !s.rules.NoColor && s.getenv("NO_COLOR") == "" && !s.plain()
}

// Notef writes one line for the person to Err, unless quiet. The text is
// sanitised, so values from outside may be passed as they are.
func (s *Streams) Notef(format string, args ...any) {
	if !s.rules.Quiet {
		s.errLine(fmt.Sprintf(format, args...))
	}
}

// Warnf writes one warning line to Err, also when quiet: a warning is about
// trust or loss.
func (s *Streams) Warnf(format string, args ...any) {
	s.errLine("warning: " + fmt.Sprintf(format, args...))
}

// Debugf writes one line to Err in verbose mode only.
func (s *Streams) Debugf(format string, args ...any) {
	if s.rules.Verbose {
		s.errLine(fmt.Sprintf(format, args...))
	}
}

// errLine writes one line to Err. A failed write to stderr has no reader to
// tell, so it is dropped.
func (s *Streams) errLine(text string) {
	_, _ = io.WriteString(s.Err, wrap(safe.Text(strings.TrimRight(text, "\n")), s.errWidth(), 0, 2)+"\n")
}

// pipeWriter turns EPIPE of stdout, and only of stdout, into ErrOutputClosed.
type pipeWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *pipeWriter) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = ErrOutputClosed
	}
	return n, err
}

// File is the file below, so that a session on a terminal finds it; nil if it
// is something else.
func (p *pipeWriter) File() *os.File {
	f, _ := p.w.(*os.File)
	return f
}

// truthy reads CI as the services set it: anything but empty, 0 and false.
func truthy(v string) bool { return v != "" && v != "0" && !strings.EqualFold(v, "false") }
