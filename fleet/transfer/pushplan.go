package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// pushItem is one thing to send.
type pushItem struct {
	listing.Item
	local string        // its name here
	rel   string        // below the destination folder, with slashes
	there *listing.Item // what the VM has under that name, nil = nothing
	first *pushItem     // the file of which this is a further name (a hard link), or nil

	wanted bool     // it is to be sent
	sum    [32]byte // of the content that was sent, or is here
	tries  int      // times that the VM had something else
	hashed bool     // sum is valid

	complete bool // it is in the partial folder, whole
	ranged   bool // it lies among the large ones, without its mode and time
	ready    bool // and verified
	sent     bool // it has an outcome
	failed   bool // and that is no good one

	why error // the VM could not put it in place; nil = it did not say why

	made   bool // a folder that was not on the VM and is now
	unsure bool // a folder that perhaps is there, behind a symlink for instance
	stale  bool // a folder with another mode or time on the VM
}

// gather walks the sources.
func (p *push) gather() error {
	for _, src := range p.o.Sources {
		clean := filepath.Clean(src)
		fi, err := os.Stat(clean)
		if err != nil {
			return &LocalError{src, err}
		}
		base := filepath.Base(clean)
		if strings.HasSuffix(src, "/") || strings.HasSuffix(src, string(filepath.Separator)) || base == "." || base == ".." {
			base = ""
		}
		if !fi.IsDir() {
			p.del.seen[filepath.Base(clean)] = true
			p.gatherOne(clean, filepath.Base(clean), "", fi)
			if len(p.o.Sources) == 1 && len(p.items) == 1 && p.items[0].Kind == 'f' {
				p.lone = p.items[0]
			}
			continue
		}
		if base != "" {
			p.del.seen[base] = true
			p.gatherOne(clean, base, "", fi)
		}
		n, err := p.gatherDir(clean, base)
		if err != nil {
			return &LocalError{src, err}
		}
		if err := p.addArea(src, base, n); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.items, func(a, b *pushItem) int { return strings.Compare(a.rel, b.rel) })
	return p.needsArea()
}

// gatherDir walks a folder, and returns how many things are in it.
func (p *push) gatherDir(top, base string) (n int, err error) {
	if slash := string(filepath.Separator); !strings.HasSuffix(top, slash) {
		top += slash // so that a link to a folder is walked
	}
	err = filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if name == top {
				return err
			}
			p.c.fail(name, FailLocal, "cannot be read: "+session.CleanLine(err.Error()), err)
			return nil
		}
		if name == top {
			return nil
		}
		sub, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		sub = filepath.ToSlash(sub)
		if strings.HasPrefix(sub, dest.PartialPrefix) {
			return skipDir(e)
		}
		n++
		if p.o.Delete {
			p.del.seen[path.Join(base, sub)] = true
		}
		fi, err := e.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		p.gatherOne(name, path.Join(base, sub), sub, fi)
		return nil
	})
	return n, err
}

// gatherOne adds one item if the filters want it.
func (p *push) gatherOne(local, rel, sub string, fi fs.FileInfo) {
	it := &pushItem{local: local, rel: rel}
	it.Item = listing.Item{Root: &listing.Root{Remote: rel, Land: rel}, Size: fi.Size(), Mtime: listing.Ns(fi.ModTime()), Mode: uint32(fi.Mode().Perm()), Blocks: blocksOf(fi)}
	if sub != "" {
		it.Root, it.Sub = &listing.Root{Land: strings.TrimSuffix(strings.TrimSuffix(rel, sub), "/")}, sub
	}
	switch {
	case fi.IsDir():
		it.Kind = 'd'
	case fi.Mode().IsRegular():
		it.Kind = 'f'
	case fi.Mode()&fs.ModeSymlink != 0:
		it.Kind = 'l'
		it.Target, _ = os.Readlink(local)
	case sub == "":
		p.c.fail(rel, FailRefused, notOrdinary, nil)
		return
	default:
		p.c.update(func(s *Summary) { s.Skipped++; s.Special++ })
		return
	}
	if !p.f.Wants(&it.Item) {
		if it.Kind != 'd' {
			p.c.update(func(s *Summary) { s.Skipped++ })
		}
		return
	}
	if it.IsFar() {
		p.c.logf(farNote, rel, it.ModTime().Year())
	}
	p.linkTo(it, fi)
	p.items = append(p.items, it)
}

// linkTo makes a further name of a file that is sent already a hard link.
func (p *push) linkTo(it *pushItem, fi fs.FileInfo) {
	key, many := inodeOf(fi)
	if !many {
		return
	}
	if first := p.inodes[key]; first != nil {
		it.first = first
		return
	}
	p.inodes[key] = it
}

// plan compares with what the VM has. Nothing is counted before the last
// answer of the VM is here: after a drop it runs again.
func (p *push) plan() error {
	same, inTheWay := p.compare()
	if p.o.Checksum {
		if err := p.dropSame(); err != nil {
			return err
		}
	}
	p.c.update(func(s *Summary) {
		s.Verified, s.Method, s.Unchanged = p.tools.Verified(), p.tools.Method(), s.Unchanged+same
	})
	p.c.logf("push: %s", p.tools.Method())
	for _, it := range inTheWay {
		it.sent, it.failed = true, true
		p.c.fail(it.rel, FailRefused, inTheWayThere(it.there.Kind == 'd'), nil)
	}
	for _, it := range p.want {
		if it.Kind == 'f' {
			p.c.want(it.Size)
		}
	}
	p.planLinks()
	p.planDeletions()
	p.c.send(EventPlanned, "", "")
	if p.o.DryRun {
		p.c.update(func(s *Summary) { s.Dirs = int64(len(p.dirs)) })
		for _, it := range p.want {
			p.c.file(&it.Item, "")
		}
	}
	return nil
}

// inTheWayThere is why something on the VM is not replaced: as a lieutenant does from
// its FIFO, a program may be reading from it.
func inTheWayThere(folder bool) string {
	if folder {
		return "a folder of this name is on the VM"
	}
	return "a device, FIFO or socket of this name is on the VM"
}

// compare fills want and dirs, and returns how many files and links are the same
// on the VM, and those in whose way a folder is.
func (p *push) compare() (same int64, inTheWay []*pushItem) {
	p.want, p.dirs = nil, nil
	p.folders = map[string]*pushItem{}
	for _, it := range p.items {
		if it.Kind == 'd' {
			p.folders[it.rel] = it
		}
		switch {
		case it.Kind == 'd' && it.there != nil && it.there.Kind == 'd':
			it.stale = it.there.Mode&0o777 != it.Mode || !it.sameTimeOnVM()
		case it.Kind == 'd':
			up := p.folders[path.Dir(it.rel)]
			it.unsure = it.there != nil || (up != nil && up.unsure)
			p.dirs = append(p.dirs, it)
		case it.there != nil && (it.there.Kind == 'd' || it.there.Special()):
			inTheWay = append(inTheWay, it)
		case it.first != nil: // see planLinks
		case it.sameOnVM() && (it.Kind == 'l' || !p.o.Checksum):
			same++
		default:
			p.want = append(p.want, it)
		}
	}
	return same, inTheWay
}

// planLinks decides which hard links have to be made: those that the VM has not
// as such, and those whose file is sent anew.
func (p *push) planLinks() {
	anew := map[*pushItem]bool{}
	for _, it := range p.want {
		anew[it] = true
	}
	for _, it := range p.items {
		if it.first == nil || it.sent {
			continue
		}
		a, b := it.there, it.first.there
		if !anew[it.first] && a != nil && b != nil && a.Kind == 'f' && a.Ino != 0 && a.Ino == b.Ino && a.Dev == b.Dev {
			p.c.update(func(s *Summary) { s.Unchanged++ })
			continue
		}
		p.want = append(p.want, it)
	}
	for _, it := range p.want {
		it.wanted = true
	}
}

// dropSame takes out what has the same content on the VM.
func (p *push) dropSame() error {
	if !p.tools.CanHash() {
		return nil
	}
	var ask []prefixRequest
	var whom []*pushItem
	for _, it := range p.want {
		if it.Kind == 'f' && it.there != nil && it.there.Kind == 'f' && it.there.Size == it.Size {
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
	p.want = slices.DeleteFunc(p.want, func(it *pushItem) bool { return same[it] })
	return nil
}

// sameOnVM tells whether the VM has the same link, or a file of the same size
// and time.
func (it *pushItem) sameOnVM() bool {
	switch {
	case it.there == nil || it.there.Kind != it.Kind:
		return false
	case it.Kind == 'l':
		return it.there.Target == it.Target
	}
	return it.there.Size == it.Size && it.sameTimeOnVM()
}

func (it *pushItem) sameTimeOnVM() bool { return it.sameTimeAs(it.there) }

// sameTimeAs compares times; a busybox that knows no fractions keeps whole
// seconds.
func (it *pushItem) sameTimeAs(there *listing.Item) bool {
	return there.Mtime == it.Mtime || there.Mtime%1e9 == 0 && (there.Mtime/1e9 == it.Mtime/1e9 || there.Mtime/1e9 == it.ModTime().Unix())
}

// perms is the mode as chmod reads it.
func (it *pushItem) perms() string { return fmt.Sprintf("%o", it.Mode&0o777) }

// stamp is the time as touch reads it.
func (it *pushItem) stamp() string {
	sign, ns := "", it.Mtime
	if ns < 0 {
		sign, ns = "-", -ns
	}
	return fmt.Sprintf("@%s%d.%09d", sign, ns/1e9, ns%1e9)
}
