package listing

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// Limits of what is believed of a listing.
const (
	maxToken   = 4 << 20   // bytes; a batch of stat's lines is the longest that is honest
	maxGarbage = 16 << 20  // bytes that make no sense before a listing is given up
	MaxItems   = 5_000_000 // more are no honest listing
)

// Handler gets what a listing finds, in order. Its methods return an error to
// end the listing.
type Handler interface {
	Tools(Tools) error
	Item(Item) error
	Missing(*Root)
	Refused(path, why string)
	Unreadable(r *Root, said string)
	Waiting() // nothing more is here for the moment
}

// ErrGarbage ends a listing that makes no sense.
var ErrGarbage = errors.New("the VM's listing makes no sense")

// ErrLimit ends one that is larger than a transfer can be.
var ErrLimit = errors.New("there is more than can be taken at once")

// garbage is an ErrGarbage that is final: asking again would bring the same.
func garbage(format string, args ...any) error {
	return session.BadAnswer{Err: fmt.Errorf("%w: %s", ErrGarbage, fmt.Sprintf(format, args...))}
}

// Limit is an ErrLimit, which is final.
func Limit(format string, args ...any) error {
	return session.BadAnswer{Err: fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))}
}

// reader reads one listing.
type reader struct {
	s       *session.Session
	in      *bufio.Reader
	roots   []*Root
	to      Handler
	list    string // find or stat
	zstd    bool   // what follows the tools is compressed
	cur     *Root
	items   int
	garbage int
	told    bool              // of it
	ended   int               // roots that came to their end
	links   map[string]string // of the current root, for stat
	linkMem int
}

// Command is a listing whose session is opened before it is known what to list:
// far away or on a slow VM that saves the time of opening it.
type Command struct {
	ctx context.Context
	c   *session.Conn
	s   *session.Session // nil once it was used
}

// Begin opens the session. The caller must call Run or Stop.
func Begin(ctx context.Context, c *session.Conn) *Command {
	l := &Command{ctx, c, c.Start(ctx, session.RunScript)}
	l.s.Rest()
	return l
}

// Stop ends the session if it was not used.
func (l *Command) Stop() {
	if l.s != nil {
		l.s.Stop()
		l.s = nil
	}
}

// Run lists the roots, with one command unless they are very many, and returns
// when all were listed. complete is false if something could not be read.
func Run(ctx context.Context, c *session.Conn, roots []*Root, to Handler) (complete bool, err error) {
	return Begin(ctx, c).Run(roots, to)
}

// Run is Run on the session that was begun.
func (l *Command) Run(roots []*Root, to Handler) (complete bool, err error) {
	defer l.Stop()
	m := &reader{to: to}
	complete = true
	for _, some := range inRuns(roots) {
		s := l.s
		if l.s = nil; s == nil {
			s = l.c.Start(l.ctx, session.RunScript)
		}
		ok, err := m.run(s, some)
		if err != nil {
			return false, err
		}
		complete = complete && ok
	}
	return complete, nil
}

// inRuns cuts roots into as many as a script can be given at a time.
func inRuns(roots []*Root) [][]*Root {
	return session.Runs(roots, func(r *Root) int { return len(r.Remote) + 2 })
}

// run lists some roots.
func (m *reader) run(s *session.Session, roots []*Root) (complete bool, err error) {
	defer s.Stop()
	s.Due("the listing", 0)
	to := m.to
	s.OnWait(to.Waiting)
	args := []string{linkScript, statScript, statTopScript}
	for _, r := range roots {
		args = append(args, r.arg())
	}
	s.Script(listScript, args...)
	if err := s.Ready(); err != nil {
		return false, err
	}
	m.s, m.in, m.roots, m.cur, m.ended = s, s.Out, roots, nil, 0
	complete, err = m.read()
	if err != nil {
		return false, err
	}
	if err := s.Finish(64 << 10); err != nil && !session.Exited(err) {
		return false, err
	}
	if !complete && m.cur != nil {
		to.Unreadable(m.cur, s.Stderr())
	}
	return complete, nil
}

// read handles records until the stream ends.
func (m *reader) read() (complete bool, err error) {
	complete = true
	if err := m.readTools(); err != nil {
		return false, err
	}
	if m.zstd {
		dec, err := m.s.Unpacked()
		if err != nil {
			return false, err
		}
		defer func() { _ = dec.Close() }()
		m.in = bufio.NewReaderSize(dec, 64<<10)
	}
	for {
		tok, err := m.token()
		if err == io.EOF {
			break
		}
		if err != nil && m.zstd {
			err = m.s.End(err) // what cannot be unpacked is no drop
		}
		if err != nil {
			return false, err
		}
		ok, err := m.record(tok, &complete)
		if err != nil {
			return false, err
		}
		if !ok {
			complete = false
			if err := m.nonsense(len(tok)); err != nil {
				return false, err
			}
		}
	}
	if m.ended < len(m.roots) {
		return false, io.ErrUnexpectedEOF // the connection or the shell died on the way
	}
	return complete, nil
}

func (m *reader) readTools() error {
	var got [6]string
	for i := range got {
		tok, err := m.token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrGarbage, err)
		}
		got[i] = tok
	}
	if got[0] != "P" || (got[1] != "find" && got[1] != "stat") {
		return session.BadAnswer{Err: ErrGarbage}
	}
	m.list = got[1]
	t := Tools{List: got[1], Tar: "none", Hash: "none", Zstd: got[4] == "zstd"}
	more := strings.Fields(got[5])
	t.Dd, t.FullBlocks, t.tee = slices.Contains(more, "dd"), slices.Contains(more, "full"), slices.Contains(more, "tee")
	if got[2] == "gnu" || got[2] == "plain" {
		t.Tar = got[2]
	}
	if strings.HasPrefix(got[3], "openssl") || got[3] == "sha256sum" {
		t.Hash = session.CleanLine(got[3])
	}
	m.zstd = t.Zstd
	return m.to.Tools(t)
}

// record handles one record that begins with tok; ok is false if it is none.
func (m *reader) record(tok string, complete *bool) (ok bool, err error) {
	if tok == "" {
		return false, nil
	}
	switch tok[0] {
	case 'R', 'M':
		n, err := strconv.Atoi(tok[1:])
		if err != nil || n != m.ended || n >= len(m.roots) || m.cur == m.roots[n] {
			return false, nil
		}
		m.cur, m.links, m.linkMem = m.roots[n], nil, 0
		if tok[0] == 'M' {
			m.to.Missing(m.cur)
			m.ended++
		}
		return true, nil
	case 'E':
		if m.cur == nil || m.ended >= len(m.roots) || m.cur != m.roots[m.ended] {
			return false, nil
		}
		if tok != "E0" {
			*complete = false
		}
		m.ended++
		return true, nil
	}
	if m.cur == nil || m.ended >= len(m.roots) || m.cur != m.roots[m.ended] {
		return false, nil
	}
	switch {
	case tok[0] == 'F' && m.list == "find":
		return m.findRecord(tok[1:])
	case tok == "L" && m.list == "stat":
		return m.linkRecord()
	case tok == "B" && m.list == "stat":
		return m.statBatch()
	}
	return false, nil
}

// findRecord reads "y s m T D i n b", target, name.
func (m *reader) findRecord(head string) (bool, error) {
	target, err := m.token()
	if err != nil {
		return false, err
	}
	sub, err := m.token()
	if err != nil {
		return false, err
	}
	f := strings.Split(head, " ")
	if len(f) != 8 || len(f[0]) != 1 {
		return false, nil
	}
	it := Item{Root: m.cur, Sub: sub, Kind: f[0][0], Target: target}
	var bad bool
	num := func(s string, base int) uint64 {
		n, err := strconv.ParseUint(s, base, 63)
		bad = bad || err != nil
		return n
	}
	it.Size, it.Mode = int64(num(f[1], 10)), uint32(num(f[2], 8)&0o7777)
	it.Dev, it.Ino, it.Nlink, it.Blocks = num(f[4], 10), num(f[5], 10), num(f[6], 10), int64(num(f[7], 10))
	var okTime bool
	it.Mtime, okTime = parseTime(f[3])
	if bad || !okTime {
		return false, nil
	}
	return true, m.emit(it)
}

// emit hands an item on after the checks of its name.
func (m *reader) emit(it Item) error {
	if m.items++; m.items > MaxItems {
		return Limit("more than %d files and folders", MaxItems)
	}
	if it.Sub != "" || it.Rel() != "" {
		if why := dest.CheckName(it.Rel()); why != "" {
			m.to.Refused(it.Rel(), why)
			return nil
		}
	}
	return m.to.Item(it)
}

// nonsense counts bytes that are no record; they are reported once.
func (m *reader) nonsense(n int) error {
	if m.garbage += n + 1; m.garbage > maxGarbage {
		return garbage("more than %d MiB of it are no records", maxGarbage>>20)
	}
	if !m.told {
		m.told = true
		m.to.Refused("", "some of the VM's listing makes no sense")
	}
	return nil
}

// token reads up to a NUL. io.EOF only comes at a clean end.
func (m *reader) token() (string, error) {
	var long []byte
	for {
		part, err := m.in.ReadSlice(0)
		if err == nil && long == nil {
			return string(part[:len(part)-1]), nil
		}
		if len(long)+len(part) > maxToken {
			return "", garbage("a record of more than %d MiB", maxToken>>20)
		}
		long = append(long, part...)
		switch {
		case err == nil:
			return string(long[:len(long)-1]), nil
		case err == io.EOF && len(long) > 0:
			return "", io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// maxTime is some 35,000 years, in seconds: nobody changed a file then.
const maxTime = 1 << 40

// parseTime reads seconds with a fraction ("1700000000.1234567890", before 1970 the
// second before and what is beyond that) as ns.
func parseTime(s string) (int64, bool) {
	sec, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil || n > maxTime || n < -maxTime {
		return 0, false
	}
	return Ns(time.Unix(n, parseFraction(frac))), true
}

// parseFraction reads the digits after a point as ns.
func parseFraction(frac string) int64 {
	var ns int64
	for i := range 9 {
		ns *= 10
		if i < len(frac) && frac[i] >= '0' && frac[i] <= '9' {
			ns += int64(frac[i] - '0')
		}
	}
	return ns
}
