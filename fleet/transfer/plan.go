package transfer

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"os"
	"path"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
)

// maxPlanMem bounds what is remembered of the listing until the end (folders'
// times, hard links), bytes.
const maxPlanMem = 256 << 20

// dirMeta is what a folder gets when everything is in it.
type dirMeta struct {
	rel   string
	mode  fs.FileMode
	mtime int64
}

// hardlink is a further name of a file.
type hardlink struct {
	it    listing.Item
	first string
}

type inode struct{ dev, ino uint64 }

// setTools records what the VM has.
func (p *pull) setTools(t listing.Tools) {
	p.tools = t
	p.c.update(func(s *Summary) { s.Verified, s.Method = t.Verified(), t.Method() })
	p.c.send(EventMethod, t.Method(), "")
	p.c.logf("%s; verification: %s", t.Method(), t.Verified())
	p.toolsKnown.Store(true)
	p.pool.notify()
}

// Tools implements handler: they are known, work can begin.
func (p *pull) Tools(t listing.Tools) error {
	if p.started {
		return nil // a second listing, after a drop
	}
	p.started = true
	p.setTools(t)
	p.pool.mu.Lock()
	live := append([]*worker(nil), p.pool.live...)
	p.pool.mu.Unlock()
	if !p.o.DryRun {
		for _, w := range live {
			w.work()
		}
	}
	return nil
}

func (p *pull) Missing(r *listing.Root) {
	if !p.relist {
		p.missing++
		p.c.fail(r.Asked, FailMissing, notThere, &PathError{r.Asked})
	}
}

func (p *pull) Refused(name, why string) {
	if !p.relist {
		p.c.fail(name, FailRefused, why, nil)
	}
}

func (p *pull) Unreadable(r *listing.Root, said string) {
	p.c.fail(r.Asked, FailRemote, "not everything could be listed: "+said, nil)
}

// key is what tells two names apart on the destination's file system.
func (p *pull) key(rel string) uint64 {
	return maphash.String(p.seed, p.d.Key(rel))
}

// Item implements handler: it decides what to do about one item.
func (p *pull) Item(it listing.Item) error {
	rel := it.Rel()
	if rel == "" && it.Kind == 'd' {
		return p.ctx.Err() // Dest itself
	}
	key := p.key(rel)
	if _, twice := p.seen[key]; twice {
		if p.relist {
			return p.ctx.Err()
		}
		if it.Kind == 'd' {
			if fi, err := p.d.Lstat(rel); err == nil && fi.IsDir() && !p.d.Folds() {
				return nil // two paths asked for may share a folder
			}
		}
		p.Refused(rel, "a second item of this name (or of one that is the same name here)")
		return nil
	}
	p.seen[key] = true
	if why := p.d.Shields(rel, it.Kind == 'd'); why != "" {
		p.leaveAlone(&it, why)
		return nil
	}
	if !p.f.Wants(&it) {
		if it.Kind != 'd' {
			p.skip(false)
		}
		return nil
	}
	switch it.Kind {
	case 'd':
		return p.planDir(&it)
	case 'f':
		return p.planFile(&it)
	case 'l':
		p.planLink(&it)
		return nil
	}
	p.special(&it)
	return p.ctx.Err()
}

// special passes over what is none of these, and says so if it was asked for.
func (p *pull) special(it *listing.Item) {
	if it.Sub == "" {
		p.Refused(it.Rel(), notOrdinary)
	} else {
		p.skip(true)
	}
}

// notOrdinary is why what was asked for is not transferred.
const notOrdinary = "it is a device, FIFO or socket"

// leaveAlone passes over what is not the VM's to write here. A folder of
// vers-fleet's own is told once, not with all that is in it.
func (p *pull) leaveAlone(it *listing.Item, why string) {
	rel := it.Rel()
	switch {
	case p.d.Dotfile(rel):
		if it.Kind != 'd' {
			p.c.update(func(s *Summary) { s.Skipped, s.Dotfiles = s.Skipped+1, s.Dotfiles+1 })
		}
	case path.Dir(rel) != "." && p.d.Shields(path.Dir(rel), true) != "":
		p.skip(false)
	default:
		p.Refused(rel, why)
	}
}

func (p *pull) skip(special bool) {
	p.c.update(func(s *Summary) {
		s.Skipped++
		if special {
			s.Special++
		}
	})
}

// remember accounts for what stays in memory to the end.
func (p *pull) remember(n int) error {
	if p.mem += int64(n) + 64; p.mem > maxPlanMem {
		return listing.Limit("its folders, hard links and what is to be compared need more than %d MiB here", maxPlanMem>>20)
	}
	return nil
}

func (p *pull) planDir(it *listing.Item) error {
	rel := it.Rel()
	if p.o.DryRun {
		p.lookForDir(it)
		return p.ctx.Err()
	}
	made, err := p.d.Mkdir(rel)
	if err != nil {
		p.localFailure(rel, err)
		return p.ctx.Err()
	}
	if made {
		p.c.update(func(s *Summary) { s.Dirs++ })
		p.newDir = rel
	}
	p.c.entry(it, TypeDir, made)
	p.dirs = append(p.dirs, dirMeta{rel, it.Perm(), it.Mtime})
	return p.remember(len(rel))
}

func (p *pull) planLink(it *listing.Item) {
	rel := it.Rel()
	if why := dest.BadTarget(it.Target); why != "" {
		p.c.fail(rel, FailRefused, why, nil)
		return
	}
	if why := dest.LeadsOut(rel, it.Target); why != "" && !p.o.AllLinks {
		p.c.leftOut(rel, why)
		return
	}
	old, err := p.d.Readlink(rel)
	if err == nil && old == it.Target {
		p.c.update(func(s *Summary) { s.Unchanged++ })
		p.c.entry(it, TypeSymlink, false)
		return
	}
	if p.o.found != nil {
		p.linkDiffers(it)
		return
	}
	if err == nil && old == "" {
		var fi fs.FileInfo
		if fi, err = p.lookAt(rel); err == nil && inTheWay(fi) {
			err = dest.ErrInTheWay
		}
	}
	if !p.o.DryRun && err == nil {
		err = p.d.Symlink(rel, it.Target)
	}
	if err != nil {
		p.localFailure(rel, err)
		return
	}
	p.c.update(func(s *Summary) { s.Links++ })
	p.c.entry(it, TypeSymlink, true)
}

// farNote tells of a time that is not kept.
const farNote = "%s: when it was changed is too far away; it gets the nearest time that can be kept, in %d"

// planFile compares a file with what is here.
func (p *pull) planFile(it *listing.Item) error {
	rel := it.Rel()
	if it.IsFar() {
		p.c.logf(farNote, rel, it.ModTime().Year())
	}
	if it.Nlink > 1 && it.Ino != 0 && p.o.found == nil {
		key := inode{it.Dev, it.Ino}
		if first, ok := p.inodes[key]; ok && first.Size == it.Size && first.Mtime == it.Mtime {
			p.hard = append(p.hard, hardlink{*it, first.Rel()})
			return p.remember(len(rel) + 160)
		}
		p.inodes[key] = *it
		if err := p.remember(200); err != nil {
			return err
		}
	}
	fi, err := p.lookAt(rel)
	if err != nil {
		p.localFailure(rel, err)
		return p.ctx.Err()
	}
	if inTheWay(fi) && p.o.found == nil {
		p.localFailure(rel, dest.ErrInTheWay)
		return p.ctx.Err()
	}
	if fi != nil && fi.Mode().IsRegular() && fi.Size() == it.Size {
		switch {
		case p.o.Checksum && p.o.DryRun:
			return p.compareLater(it, fi)
		case !p.o.Checksum && it.SameTime(fi.ModTime()):
			p.unchanged(it, fi)
			return p.ctx.Err()
		}
	}
	return p.want(it, fi)
}

// inTheWay tells whether what is here is not to be replaced: a folder, or what a
// program may be reading from.
func inTheWay(fi fs.FileInfo) bool {
	return fi != nil && !fi.Mode().IsRegular() && fi.Mode()&fs.ModeSymlink == 0
}

// lookAt is lstat, nil if there is nothing.
func (p *pull) lookAt(rel string) (fs.FileInfo, error) {
	if p.newDir != "" && path.Dir(rel) == p.newDir {
		return nil, nil // the folder was made a moment ago, and no name comes twice
	}
	fi, err := p.d.Lstat(rel)
	if errors.Is(err, fs.ErrNotExist) || p.o.found != nil && errors.Is(err, dest.ErrInTheWay) {
		return nil, nil // what is in the way is told of the folder that it takes the place of
	}
	return fi, err
}

func (p *pull) unchanged(it *listing.Item, fi fs.FileInfo) {
	if fi.Mode().Perm() != it.Perm() && !p.o.DryRun {
		_ = p.d.SetMeta(it.Rel(), it.Perm(), it.ModTime())
	}
	p.c.update(func(s *Summary) { s.Unchanged++ })
	p.c.entry(it, TypeFile, false)
}

// want queues a file if the limits allow it.
func (p *pull) want(it *listing.Item, old os.FileInfo) error {
	rel := it.Rel()
	if p.o.found != nil {
		p.differ(it, TypeFile, old, whyChanged(it, old, p.o.Checksum))
		return p.ctx.Err()
	}
	t := p.newTask(it)
	why := p.admit(it.DiskSize(), t.part.Held())
	if it.Size > maxFile {
		why = "the file is larger than any can be"
	}
	if why != "" {
		p.c.fail(rel, FailLimit, why, nil)
		return p.ctx.Err()
	}
	p.c.want(it.Size)
	if p.o.DryRun {
		p.c.file(it, "")
		return p.ctx.Err()
	}
	if p.tools.List != "sftp" && (!plainName(t.name) || (p.tools.Tar == "none" && !p.tools.Dd)) {
		return p.q.putSingle(p.ctx, t)
	}
	if it.Size >= largeFile && !(it.Sparse() && p.tools.Tar == "gnu" && !t.part.Begun()) && (p.tools.Dd || p.tools.List == "sftp") {
		return p.q.put(p.ctx, true, t)
	}
	p.resumeSmall(t)
	if p.o.Checksum && old != nil && !t.stored && old.Mode().IsRegular() && old.Size() == it.Size {
		p.hashInPlace(t)
	}
	p.pending = append(p.pending, t)
	if len(p.pending) >= pendingMost || p.tools.List == "sftp" {
		return p.enqueuePending()
	}
	return nil
}

// pendingMost bounds the small files that are not handed over yet.
const pendingMost = 256

// enqueuePending puts what was planned into the queue.
func (p *pull) enqueuePending() error {
	if len(p.pending) == 0 {
		return nil
	}
	err := p.q.put(p.ctx, false, p.pending...)
	p.pending = p.pending[:0]
	return err
}

// Waiting implements handler: the listing pauses, and what was planned need not.
func (p *pull) Waiting() { _ = p.enqueuePending() }

const (
	// maxFile bounds the size that a file may claim to have, bytes (ext4's own
	// limit with 4 KiB blocks).
	maxFile = 16 << 40
	// sparseSlack is how much more than listed a sparse file may hold, bytes.
	sparseSlack = 16 << 20
)

// errNotSparse: a file said that it is mostly holes and is not.
var errNotSparse = errors.New("the file holds more than was listed")

// admit tells why n more bytes may not come, or "" and counts them. held is what
// is already here of them.
func (p *pull) admit(n, held int64) string {
	sum := p.total.Add(n)
	switch {
	case n < 0 || n > maxFile:
		p.total.Add(-n)
		return "the file is larger than any can be"
	case p.o.MaxTotal > 0 && sum > p.o.MaxTotal:
		p.total.Add(-n)
		return "over the limit for the sum of all files"
	case p.freeOK && sum > p.free-p.o.FreeSpace+held:
		p.total.Add(-n)
		return "not enough free space on the disk here"
	}
	return ""
}
