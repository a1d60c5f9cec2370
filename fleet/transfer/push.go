package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// PushOptions says what to send and where to put it on the VM.
type PushOptions struct {
	// Sources are files or folders here. One with a trailing slash sends its
	// contents; otherwise it lands in Dest under its base name.
	Sources []string
	// Dest is a folder on the VM (absolute, relative to the login folder, or
	// ~/...), made if missing; without a trailing slash and with a file as the
	// only source it may also name the file itself, if no folder of that name is
	// there. (A folder with one file in it is a folder.)
	Dest   string
	Source string // names this end; data of a killed push is taken up again for the same Source

	Include  []string // gitignore patterns, as in PullOptions
	Exclude  []string
	MaxSize  int64 // bytes
	DryRun   bool
	Checksum bool // compare content where the sizes agree

	Events func(Event)
	Logf   func(format string, args ...any)
}

// push is one push at work.
type push struct {
	o     PushOptions
	r     Remote
	ctx   context.Context
	conn  *session.Conn
	own   bool // conn was dialled here
	c     *collector
	f     *listing.Filter
	dest  string // on the VM, without a trailing slash
	part  string // the partial folder on the VM
	left  bool   // it was there already
	tools listing.Tools
	items []*pushItem
	lone  *pushItem   // the only source, if that is a file: it may be given another name
	want  []*pushItem // files and links to send
	dirs  []*pushItem // folders to make

	inodes map[inode]*pushItem // the first name of each file that has several
}

// Push sends files to the VM: into a folder of its own inside Dest, checked
// there by SHA-256, then renamed. Content is sent over one connection. Errors as
// with Pull.
func Push(ctx context.Context, r Remote, o PushOptions) (Summary, error) {
	p := &push{o: o, r: r, ctx: ctx, conn: session.NewConn(r.Conn), c: newCollector(o.Events, o.Logf, false), inodes: map[inode]*pushItem{},
		f: listing.NewFilter(o.Include, o.Exclude, o.MaxSize, time.Time{})}
	err := p.gather()
	if err == nil {
		err = p.run()
	}
	p.cleanUp(err)
	p.closeConn()
	p.c.send(EventDone, "", "")
	sum := p.c.summary()
	sum.Complete = err == nil
	return sum, err
}

// cleanUp removes what was sent so far if the VM cannot write any more: its
// disk is full, and an agent may be at work there.
func (p *push) cleanUp(err error) {
	var tool *ToolError
	if errors.As(err, &tool) && p.part != "" {
		_, _ = p.statusLetters(removeScript, 0, p.part)
	}
}

// closeConn closes a connection that was dialled here.
func (p *push) closeConn() {
	if p.own {
		p.conn.Close()
	}
}

// run runs rounds until one came through without a dropped connection.
func (p *push) run() error {
	planned := false
	for drops := 0; ; drops++ {
		err := p.round(&planned)
		if err == nil {
			return nil
		}
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		dial := p.r.Redial
		if dial == nil {
			dial = p.r.Dial
		}
		if !session.IsDrop(err) || isLocal(err) || isAnswer(err) {
			return err
		}
		if dial == nil || drops >= maxRedials {
			return &LostError{err}
		}
		p.c.send(EventRetry, "", "the connection dropped; connecting again")
		c, dialErr := dial(p.ctx)
		if dialErr != nil {
			select {
			case <-time.After(min(250*time.Millisecond<<drops, 30*time.Second)):
			case <-p.ctx.Done():
			}
			continue
		}
		p.closeConn()
		p.conn, p.own = session.NewConn(c), true
	}
}

// isAnswer tells whether err is what the VM has to say, on a connection that
// works.
func isAnswer(err error) bool {
	var tool *ToolError
	var pe *PathError
	return errors.As(err, &tool) || errors.As(err, &pe)
}

// round does all that is still to do over one connection.
func (p *push) round(planned *bool) error {
	if !*planned {
		if err := p.place(); err != nil {
			return p.bySFTP(err)
		}
		if err := p.plan(); err != nil {
			return err
		}
		*planned = true
	}
	if p.o.DryRun {
		return nil
	}
	if err := p.makeDirs(); err != nil {
		return err
	}
	if len(p.want) > 0 {
		if err := p.send(); err != nil {
			return err
		}
	}
	for _, it := range p.want {
		if !it.sent {
			p.c.fail(it.rel, FailRemote, "the VM did not take it", nil)
		}
	}
	if err := p.folderMeta(); err != nil {
		return err
	}
	if (p.left || len(p.want)+len(p.dirs) > 0) && p.c.summary().Failed == 0 {
		_, err := p.statusLetters(removeScript, 0, p.part)
		return err
	}
	return nil
}

// place finds out where things land.
func (p *push) place() error {
	r := listing.NewRoot(p.o.Dest)
	p.dest = r.Remote
	letters, err := p.statusLetters(whereScript, 1, p.dest)
	if err != nil {
		return err
	}
	if it := p.lone; it != nil && r.Land != "" && letters[0] != 'D' {
		it.rel, p.dest = path.Base(p.dest), path.Dir(p.dest)
		if !strings.HasPrefix(p.dest, "/") {
			p.dest = "./" + p.dest
		}
	} else if letters[0] == 'F' {
		return &PathError{p.o.Dest}
	}
	sum := sha256.Sum256([]byte("push\x00" + p.o.Source + "\x00" + p.dest))
	p.part = p.under(dest.PartialPrefix + hex.EncodeToString(sum[:6]))
	return nil
}

// plan compares with what the VM has. Nothing is counted before the last
// answer of the VM is here: after a drop it runs again.
func (p *push) plan() error {
	l := p.newLister(func(it *pushItem) string { return it.rel })
	l.part = &listing.Root{Asked: p.part, Remote: p.part} // perhaps of a push that was killed
	if _, err := listing.Run(p.ctx, p.conn, append(p.tops(), l.part), l); err != nil {
		return err
	}
	p.left = l.left
	p.tools = l.tool
	p.want, p.dirs = nil, nil
	var same int64
	var inTheWay []*pushItem
	for _, it := range p.items {
		there := l.items[it.rel]
		ok := there.Kind != 0
		switch {
		case it.Kind == 'd' && ok && there.Kind == 'd':
			it.stale = there.Mode != it.Mode || !it.sameTimeOnVM(there)
		case it.Kind == 'd':
			p.dirs = append(p.dirs, it)
		case ok && there.Kind == 'd':
			inTheWay = append(inTheWay, it)
		case it.first != nil: // see planLinks
		case it.Kind == 'l' && ok && there.Kind == 'l' && there.Target == it.Target,
			it.Kind == 'f' && ok && !p.o.Checksum && it.sameOnVM(there):
			same++
		default:
			p.want = append(p.want, it)
		}
	}
	if p.o.Checksum {
		if err := p.dropSame(l.items); err != nil {
			return err
		}
	}
	p.c.update(func(s *Summary) {
		s.Verified, s.Method, s.Unchanged = p.tools.Verified(), p.tools.Method(), s.Unchanged+same
	})
	p.c.logf("push: %s", p.tools.Method())
	for _, it := range inTheWay {
		it.sent, it.failed = true, true
		p.c.fail(it.rel, FailRefused, "a folder of this name is on the VM", nil)
	}
	for _, it := range p.want {
		if it.Kind == 'f' {
			p.c.want(it.Size)
		}
	}
	p.planLinks(l.items)
	p.c.send(EventPlanned, "", "")
	if p.o.DryRun {
		p.c.update(func(s *Summary) { s.Dirs = int64(len(p.dirs)) })
		for _, it := range p.want {
			p.c.file(&it.Item, "")
		}
	}
	return nil
}

// dropSame takes out what has the same content on the VM.
func (p *push) dropSame(found map[string]listing.Item) error {
	if !p.tools.CanHash() {
		return nil
	}
	var ask []prefixRequest
	var whom []*pushItem
	for _, it := range p.want {
		if there, ok := found[it.rel]; ok && it.Kind == 'f' && there.Kind == 'f' && there.Size == it.Size {
			ask = append(ask, prefixRequest{p.under(it.rel), it.Size})
			whom = append(whom, it)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	sums, ok, err := prefixHashes(p.ctx, p.conn, ask)
	if err != nil {
		return err
	}
	same := map[*pushItem]bool{}
	for i, it := range whom {
		if local, err := hashFile(it.local); err == nil && ok[i] && local == sums[i] {
			same[it] = true
			p.c.same(&it.Item, "")
		}
	}
	kept := p.want[:0]
	for _, it := range p.want {
		if !same[it] {
			kept = append(kept, it)
		}
	}
	p.want = kept
	return nil
}
