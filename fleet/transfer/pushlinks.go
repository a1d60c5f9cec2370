package transfer

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

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

// planLinks decides which hard links have to be made: those that the VM has not
// as such, and those whose file is sent anew.
func (p *push) planLinks(there map[string]listing.Item) {
	anew := map[*pushItem]bool{}
	for _, it := range p.want {
		anew[it] = true
	}
	for _, it := range p.items {
		if it.first == nil || it.sent {
			continue
		}
		a, b := there[it.rel], there[it.first.rel]
		if !anew[it.first] && a.Kind == 'f' && a.Ino != 0 && a.Ino == b.Ino && a.Dev == b.Dev {
			p.c.update(func(s *Summary) { s.Unchanged++ })
			continue
		}
		p.want = append(p.want, it)
	}
}

// placeLinks makes the hard links of files that are in place. Where the VM
// cannot, they are sent as files of their own in the next pass.
func (p *push) placeLinks() error {
	var links []*pushItem
	var made, place []string
	for _, it := range p.want {
		switch {
		case it.first == nil || it.sent:
		case it.first.failed:
			it.sent = true
			p.c.fail(it.rel, FailRemote, "a second name of "+it.first.rel+", which did not arrive", nil)
		default:
			links = append(links, it)
			made = append(made, p.under(it.first.rel), p.part+"/"+it.id)
			place = append(place, p.part+"/"+it.id, p.under(it.rel))
		}
	}
	if err := p.each(hardScript, nil, made, 2, func(i int, letter byte) {
		if letter != 'K' {
			links[i].first = nil
		}
	}); err != nil {
		return err
	}
	return p.each(placeScript, nil, place, 2, func(i int, letter byte) {
		if it := links[i]; it.first != nil {
			p.placed(it, letter)
		}
	})
}

// folderMeta gives folders their mode and time.
func (p *push) folderMeta() error {
	var meta []string
	for _, it := range p.dirsToFix() {
		meta = append(meta, it.perms(), it.stamp(), p.under(it.rel))
	}
	return p.each(metaScript, nil, meta, 3, func(int, byte) {})
}

// dirsToFix are the folders whose mode or time is not right, or was changed by
// what was put in them, those below others first.
func (p *push) dirsToFix() (dirs []*pushItem) {
	stirred := map[string]bool{}
	for _, it := range p.want {
		stirred[path.Dir(it.rel)] = true
	}
	for _, it := range p.items {
		if it.made {
			stirred[path.Dir(it.rel)] = true
		}
	}
	for _, it := range slices.Backward(p.items) {
		if it.Kind == 'd' && !it.failed && (it.made || it.stale || stirred[it.rel]) {
			dirs = append(dirs, it)
		}
	}
	return dirs
}

// perms is the mode as chmod reads it.
func (it *pushItem) perms() string { return fmt.Sprintf("%o", it.Mode&0o777) }

// stamp is the time as touch reads it.
func (it *pushItem) stamp() string { return fmt.Sprintf("@%d.%09d", it.Mtime/1e9, it.Mtime%1e9) }
