package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// look finds out in one listing where things land, and what is there.
func (p *push) look() error {
	asked := listing.NewRoot(p.o.Dest)
	p.dest = asked.Remote
	if err := p.mayDelete(); err != nil {
		return err
	}
	top := &listing.Root{Asked: p.o.Dest, Remote: asked.Remote, Depth: listing.Only}
	l := &pushLister{p: p, top: top, items: make(map[string]*pushItem, len(p.items))}
	l.roots = []*listing.Root{top}
	l.part(asked.Remote)
	if p.lone != nil && asked.Land != "" {
		l.part(folderOf(asked.Remote))
	}
	for _, it := range p.items {
		it.there, l.items[it.rel] = nil, it
	}
	p.del.found, p.del.mem = nil, 0
	if slices.Contains(p.del.areas, "") {
		top.Depth = listing.All
	} else {
		l.addTops(asked.Remote)
	}
	begun := p.early.list
	if p.early.list = nil; begun == nil {
		begun = listing.Begin(p.ctx, p.conn)
	}
	if _, err := begun.Run(l.roots, l); err != nil {
		return err
	}
	return p.decideDest(asked, l)
}

// folderOf is the folder that a path is in.
func folderOf(remote string) string {
	dir := path.Dir(remote)
	if !strings.HasPrefix(dir, "/") && dir != "." {
		dir = "./" + dir
	}
	return dir
}

// decideDest decides where things land, after the listing.
func (p *push) decideDest(asked *listing.Root, l *pushLister) error {
	p.dest, p.tools = asked.Remote, l.tool
	switch {
	case p.lone != nil && asked.Land != "" && (l.found == nil || l.found.Kind != 'd'): // it names the file
		p.lone.rel, p.lone.there, p.dest = asked.Land, l.found, folderOf(asked.Remote)
	case l.found != nil && l.found.Kind != 'd':
		return &PathError{p.o.Dest}
	}
	p.part = p.partOf(p.dest)
	p.held, p.left, p.del.top = l.held[p.part], l.left[p.part], l.found
	return nil
}

// partOf is the name of the partial folder in a folder of the VM.
func (p *push) partOf(folder string) string {
	sum := sha256.Sum256([]byte("push\x00" + p.o.Source + "\x00" + folder))
	return below(folder, dest.PartialPrefix+hex.EncodeToString(sum[:6]))
}

// lookAtPart lists the partial folder again.
func (p *push) lookAtPart() error {
	l := &pushLister{p: p}
	l.part(p.dest)
	if _, err := listing.Run(p.ctx, p.conn, l.roots, l); err != nil {
		return err
	}
	p.held, p.left = l.held[p.part], l.left[p.part]
	return nil
}

// pushLister collects what is on the VM already, of what is to be sent, and what
// lies in the partial folder.
type pushLister struct {
	p     *push
	roots []*listing.Root
	top   *listing.Root        // the destination
	found *listing.Item        // what is there, nil = nothing
	items map[string]*pushItem // by where they land
	parts map[*listing.Root]string
	held  map[string]map[string]listing.Item // by partial folder
	left  map[string]bool
	tool  listing.Tools
}

// part asks for the partial folder in a folder.
func (l *pushLister) part(folder string) {
	name := l.p.partOf(folder)
	r := &listing.Root{Asked: name, Remote: name}
	if l.parts == nil {
		l.parts, l.held, l.left = map[*listing.Root]string{}, map[string]map[string]listing.Item{}, map[string]bool{}
	}
	l.parts[r] = name
	l.held[name] = map[string]listing.Item{}
	l.roots = append(l.roots, r)
}

// manyTops is from how many files directly in the destination that folder is
// listed rather than each of them.
const manyTops = 32

// addTops asks for the landing places: each file and folder directly in the
// destination with what is in it, and of many files the whole level at once.
func (l *pushLister) addTops(folder string) {
	var files, dirs []string
	seen := map[string]bool{}
	for _, it := range l.p.items {
		name, _, deeper := strings.Cut(it.rel, "/")
		if seen[name] {
			continue
		}
		seen[name] = true
		if deeper || it.Kind == 'd' {
			dirs = append(dirs, name)
		} else {
			files = append(files, name)
		}
	}
	if len(files) > manyTops {
		l.top.Depth, files = listing.Level, nil
	}
	for _, name := range append(files, dirs...) {
		l.roots = append(l.roots, &listing.Root{Asked: name, Remote: below(folder, name), Land: name})
	}
}

// Item implements listing.Handler.
func (l *pushLister) Item(it listing.Item) error {
	if part, ok := l.parts[it.Root]; ok {
		l.left[part] = true
		l.held[part][it.Sub] = it
		return l.p.ctx.Err()
	}
	rel := it.Rel()
	if it.Root == l.top && it.Sub == "" {
		l.found = &it
		return nil
	}
	mine := l.items[rel]
	if mine == nil {
		return errors.Join(l.p.stranger(it), l.p.ctx.Err())
	}
	if mine.there == nil || it.Sub == "" {
		mine.there = &it
	}
	return l.p.ctx.Err()
}

// Tools implements listing.Handler.
func (l *pushLister) Tools(t listing.Tools) error {
	l.tool = t
	return nil
}

// Missing implements listing.Handler.
func (l *pushLister) Missing(*listing.Root) {}

// Refused implements listing.Handler.
func (l *pushLister) Refused(string, string) {}

// Unreadable implements listing.Handler.
func (l *pushLister) Unreadable(*listing.Root, string) {}

// Waiting implements listing.Handler.
func (l *pushLister) Waiting() {}

// below is the name on the VM of rel in a folder.
func below(folder, rel string) string {
	if strings.HasSuffix(folder, "/") {
		return folder + rel
	}
	return folder + "/" + rel
}

// under is the name on the VM of rel below the destination.
func (p *push) under(rel string) string { return below(p.dest, rel) }

// temp is the name on the VM of rel in the partial folder.
func (p *push) temp(rel string) string { return p.part + "/t/" + rel }
