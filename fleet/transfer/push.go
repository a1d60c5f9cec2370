package transfer

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// PushOptions says what to send and where to put it on the VM.
type PushOptions struct {
	// Sources are files or folders here. One with a trailing slash sends its
	// contents; otherwise it lands in Dest under its base name. A source that is a
	// symlink is followed, as scp does; links in it are sent as links.
	Sources []string
	// Dest is a folder on the VM (absolute, relative to the login folder, or
	// ~/...), made if missing; without a trailing slash and with a file as the
	// only source it may also name the file itself, if no folder of that name is
	// there. (A folder with one file in it is a folder.)
	Dest   string
	Source string // names this end; data of a killed push is taken up again for the same Source

	Include []string // gitignore patterns, as in PullOptions
	Exclude []string
	MaxSize int64 // bytes
	// Delete removes from the folders that the sources are sent to what is not here.
	// What Include, Exclude and MaxSize leave out stays. Nothing is removed unless
	// everything has arrived; an empty folder as source, and a folder on the VM that
	// is a symlink or holds the login folder, are refused with a DeletionError.
	Delete   bool
	DryRun   bool
	Checksum bool // compare content where the sizes agree

	MaxConns int // connections at most, 0 = up to 8 as it pays

	Events func(Event)
	Logf   func(format string, args ...any)
}

// push is one push at work.
type push struct {
	o       PushOptions
	r       Remote
	ctx     context.Context
	conn    *session.Conn // the first: listings and renames go over it
	own     bool          // conn was dialled here
	c       *collector
	f       *listing.Filter
	latency *latency
	alone   bool  // further connections did not hold
	early   early // sessions that were opened before they were needed

	dest    string // on the VM, without a trailing slash
	part    string // the partial folder on the VM
	left    bool   // it is there
	tools   listing.Tools
	items   []*pushItem
	lone    *pushItem               // the only source, if that is a file: it may be given another name
	want    []*pushItem             // files and links to send
	dirs    []*pushItem             // folders that the VM lacks
	folders map[string]*pushItem    // all folders to send, by name
	held    map[string]listing.Item // what is in the partial folder, by its name there; nil = not known

	inodes map[inode]*pushItem // the first name of each file that has several

	del       deletion
	delivered bool         // everything has its outcome
	client    *sftp.Client // where the VM has no shell
}

// Push sends files to the VM: into a folder of its own inside Dest, checked
// there by SHA-256, then renamed. Small files travel as streams of tar, large
// ones by ranges, at a distance over several connections. Errors as with Pull.
func Push(ctx context.Context, r Remote, o PushOptions) (Summary, error) {
	p := &push{o: o, r: r, ctx: ctx, conn: session.NewConn(r.Conn).Further(r.Dial), c: newCollector(o.Events, o.Logf, false), inodes: map[inode]*pushItem{}, del: deletion{seen: map[string]bool{}},
		f: listing.NewFilter(o.Include, o.Exclude, o.MaxSize, time.Time{})}
	p.latency = newLatency()
	p.openEarly()
	err := p.gather()
	if err == nil {
		err = p.run()
	}
	p.stopEarly()
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
		p.stopEarly()
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
		if dial == nil || !again(err, drops) {
			return &LostError{err}
		}
		p.held = nil
		p.c.send(EventRetry, "", whyLost(err)+"; connecting again")
		c, dialErr := dial(p.ctx)
		if dialErr != nil {
			select {
			case <-time.After(min(250*time.Millisecond<<drops, 30*time.Second)):
			case <-p.ctx.Done():
			}
			continue
		}
		p.closeConn()
		p.conn, p.own = session.NewConn(c).Further(p.r.Dial), true
	}
}

// early are sessions that were opened before they were needed: on a slow VM or
// far away that saves the time of opening them. Each is used once, or nil.
type early struct {
	list  *listing.Command
	tar   *session.Session // pushTarCmd
	place *session.Session // pushPlaceCmd
}

// openEarly opens the sessions that are needed first, while the sources here are
// walked.
func (p *push) openEarly() {
	p.early.list = listing.Begin(p.ctx, p.conn)
	if p.o.DryRun {
		return
	}
	p.early.tar = p.startQuiet(pushTarCmd)
	go p.latency.measure(p.ctx, p.conn)
}

// startQuiet starts a command from which nothing is expected yet.
func (p *push) startQuiet(cmd string) *session.Session {
	s := p.conn.Start(p.ctx, cmd)
	s.Rest()
	return s
}

// stopEarly ends those of which nothing came.
func (p *push) stopEarly() {
	if p.early.list != nil {
		p.early.list.Stop()
	}
	for _, s := range []*session.Session{p.early.tar, p.early.place} {
		if s != nil {
			s.Stop()
		}
	}
	p.early = early{}
}

// isAnswer tells whether err is what the VM has to say, on a connection that
// works.
func isAnswer(err error) bool {
	var tool *ToolError
	var pe *PathError
	var del *DeletionError
	return errors.As(err, &tool) || errors.As(err, &pe) || errors.As(err, &del)
}

// round does all that is still to do over one connection.
func (p *push) round(planned *bool) error {
	if !*planned {
		if err := p.look(); err != nil {
			return p.bySFTP(err)
		}
		if err := p.plan(); err != nil {
			return err
		}
		*planned = true
	}
	if !p.o.DryRun && !p.delivered {
		if err := p.sendAll(); err != nil {
			return err
		}
		p.delivered = true
	}
	return p.deleteOthers()
}

// sendAll sends what is wanted, says what did not arrive, and clears up.
func (p *push) sendAll() error {
	if err := p.send(); err != nil {
		return err
	}
	for _, it := range p.want {
		if !it.sent {
			p.c.fail(it.rel, FailRemote, "the VM did not take it", nil)
		}
	}
	for _, it := range p.dirs {
		if !it.made {
			p.c.fail(it.rel, FailRemote, because("the VM cannot make this folder", it.why), it.why)
		}
	}
	if p.left && !p.worthKeeping() {
		_, err := p.statusLetters(removeScript, 0, p.part)
		return err
	}
	return nil
}

// worthKeeping tells whether something lies whole in the partial folder that could not
// be put in place: the next push need not send it again.
func (p *push) worthKeeping() bool {
	return slices.ContainsFunc(p.want, func(it *pushItem) bool { return it.complete && (it.failed || !it.sent) })
}

// send brings files into the partial folder, has them hashed there, and puts
// those that are right in place; again if need be.
func (p *push) send() error {
	if len(p.want)+len(p.dirs) == 0 && !p.staleDirs() {
		return nil
	}
	for range maxTries {
		if p.held == nil {
			if err := p.lookAtPart(); err != nil {
				return err
			}
		}
		if err := p.bring(); err != nil {
			return err
		}
		if err := p.place(); err != nil {
			return err
		}
		if p.unsent() == 0 {
			return nil
		}
		p.held = nil
	}
	return nil
}

// unsent counts what has no outcome yet.
func (p *push) unsent() (n int) {
	for _, it := range p.want {
		if !it.sent {
			n++
		}
	}
	for _, it := range p.dirs {
		if !it.made {
			n++
		}
	}
	return n
}

// bring sees to it that all that is wanted is in the partial folder, and marks
// as ready what the VM has proved to be right.
func (p *push) bring() error {
	b, err := p.divide()
	if err != nil {
		return err
	}
	if p.tools.Tar == "none" {
		err = p.sendBare(b)
	} else {
		err = p.deliver(b)
	}
	if err != nil {
		return err
	}
	if err := p.makeLinks(); err != nil {
		return err
	}
	if err := p.bareFolders(); err != nil {
		return err
	}
	return p.verifyHeld()
}

// localGone reports a file that cannot be read here.
func (p *push) localGone(it *pushItem, err error) {
	it.sent, it.failed = true, true
	p.c.fail(it.rel, FailLocal, "cannot be read here: "+session.CleanLine(err.Error()), err)
}

// unsteady notes that what the VM has is not what is here; after some tries the
// file is given up.
func (p *push) unsteady(it *pushItem) {
	if it.tries++; it.tries >= maxTries {
		it.sent, it.failed = true, true
		p.c.fail(it.rel, FailChanging, "the file changes faster than it can be sent, or the VM cannot keep it", nil)
	}
}

// sameContent tells whether the file still has the content that was sent, though
// somebody wrote or touched it.
func (it *pushItem) sameContent(sent [32]byte) bool {
	now, err := hashFile(it.local)
	return err == nil && now == sent
}

// sameHere tells whether the file is still as it was when it was found.
func (it *pushItem) sameHere(fi fs.FileInfo) bool {
	return fi.Size() == it.Size && listing.Ns(fi.ModTime()) == it.Mtime
}
