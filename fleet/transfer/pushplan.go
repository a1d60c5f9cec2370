package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// pushItem is one thing to send.
type pushItem struct {
	listing.Item
	local  string    // its name here
	rel    string    // below the destination folder, with slashes
	id     string    // its name in the partial folder
	first  *pushItem // the file of which this is a further name (a hard link), or nil
	sum    [32]byte
	tries  int
	sent   bool // it has an outcome
	failed bool // and that is no good one
	made   bool // a folder that was not on the VM
	meta   bool // a file that was sent with its mode and time
	stale  bool // a folder with another time on the VM
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
			p.gatherOne(clean, filepath.Base(clean), "", fi)
			if len(p.o.Sources) == 1 && len(p.items) == 1 && p.items[0].Kind == 'f' {
				p.lone = p.items[0]
			}
			continue
		}
		if base != "" {
			p.gatherOne(clean, base, "", fi)
		}
		if err := p.gatherDir(clean, base); err != nil {
			return &LocalError{src, err}
		}
	}
	slices.SortStableFunc(p.items, func(a, b *pushItem) int { return strings.Compare(a.rel, b.rel) })
	return nil
}

func (p *push) gatherDir(top, base string) error {
	return filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
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
		fi, err := e.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		p.gatherOne(name, path.Join(base, sub), sub, fi)
		return nil
	})
}

// gatherOne adds one item if the filters want it.
func (p *push) gatherOne(local, rel, sub string, fi fs.FileInfo) {
	it := &pushItem{local: local, rel: rel}
	it.Item = listing.Item{Root: &listing.Root{Remote: rel, Land: rel}, Size: fi.Size(), Mtime: fi.ModTime().UnixNano(), Mode: uint32(fi.Mode().Perm()), Blocks: -1}
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
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", rel, it.Size, it.Mtime))
	it.id = "f-" + hex.EncodeToString(sum[:16])
	p.linkTo(it, fi)
	p.items = append(p.items, it)
}

// pushLister collects what is on the VM already, of what is to be sent.
type pushLister struct {
	p     *push
	items map[string]listing.Item
	tool  listing.Tools
	part  *listing.Root
	left  bool // part is there
}

// newLister expects items under the names that mine gives them.
func (p *push) newLister(mine func(*pushItem) string) *pushLister {
	l := &pushLister{p: p, items: make(map[string]listing.Item, len(p.items))}
	for _, it := range p.items {
		l.items[mine(it)] = listing.Item{}
	}
	return l
}

func (l *pushLister) Item(it listing.Item) error {
	rel := it.Rel()
	if _, ok := l.items[rel]; ok {
		l.items[rel] = it
	}
	l.left = l.left || it.Root == l.part
	return l.p.ctx.Err()
}
func (l *pushLister) Tools(t listing.Tools) error {
	l.tool = t
	return nil
}
func (l *pushLister) Missing(*listing.Root)            {}
func (l *pushLister) Refused(string, string)           {}
func (l *pushLister) Unreadable(*listing.Root, string) {}
func (l *pushLister) Waiting()                         {}

// sameOnVM tells whether the VM has a file of the same size and time.
func (it *pushItem) sameOnVM(there listing.Item) bool {
	return there.Kind == 'f' && there.Size == it.Size && it.sameTimeOnVM(there)
}

func (it *pushItem) sameTimeOnVM(there listing.Item) bool {
	return there.Mtime == it.Mtime || (there.Mtime%1e9 == 0 && there.Mtime/1e9 == it.Mtime/1e9)
}

// tops are the landing places that have to be looked at.
func (p *push) tops() []*listing.Root {
	var tops []*listing.Root
	for _, it := range p.items {
		top, _, _ := strings.Cut(it.rel, "/")
		if len(tops) == 0 || tops[len(tops)-1].Land != top {
			tops = append(tops, &listing.Root{Asked: top, Remote: p.under(top), Land: top})
		}
	}
	return tops
}

// under is the name on the VM of rel below the destination.
func (p *push) under(rel string) string {
	if strings.HasSuffix(p.dest, "/") {
		return p.dest + rel
	}
	return p.dest + "/" + rel
}
