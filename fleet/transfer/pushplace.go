package transfer

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// unit is what one rename puts in place: a file, a link, or a folder that the VM
// lacks with all that is in it.
type unit struct {
	it   *pushItem
	with []*pushItem // of a folder: what is in it
}

// batch is what is renamed into one folder by one process.
type batch struct {
	dir   string // below the destination, "" = itself
	units []unit // none: the folder is only to be there, or to get its mode and time
}

// batchFixed are the arguments of placeScript that are no names.
const batchFixed = 5

const (
	maxBatchNames = 500
	maxBatchBytes = 12 << 10 // of names: busybox's xargs allows 32 KiB, and a folder's name may have 4 KiB
)

// place puts in place what is ready: a folder that the VM lacks in one piece if
// all that belongs into it is ready, everything else folder by folder.
func (p *push) place() error {
	p.decideLinks()
	batches := p.batches()
	s := p.early.place
	if p.early.place = nil; s == nil {
		s = p.startQuiet(pushPlaceCmd)
	}
	defer s.Stop()
	s.Due("the renaming", scriptWork)
	head, most := p.placeHead(batches)
	s.Input(func(w *bufio.Writer) error {
		_, err := io.WriteString(w, head)
		for _, b := range batches {
			_, err = io.WriteString(w, b.args(p, most))
		}
		return err
	})
	if err := s.Ready(); err != nil {
		return err
	}
	return p.readPlaced(s, batches)
}

// readPlaced reads what became of the batches.
func (p *push) readPlaced(s *session.Session, batches []batch) error {
	for _, b := range batches {
		letters, err := b.read(s)
		if err != nil {
			return toolError(s, err)
		}
		if letters[0] == 'H' {
			p.linksFailed()
			return nil
		}
		p.placed(b, letters)
	}
	rest, err := io.ReadAll(io.LimitReader(s.Out, 64))
	switch {
	case strings.HasPrefix(string(rest), "R"):
		p.left = false
	case strings.HasPrefix(string(rest), "H"):
		p.linksFailed()
	}
	if err == nil {
		err = s.Drain(64 << 10)
	}
	if session.Exited(err) {
		return nil
	}
	return err
}

// placeHead is what pushPlaceCmd has to know before the batches, and how many
// arguments each of these has.
func (p *push) placeHead(batches []batch) (head string, most int) {
	most, remove := 1, "r"
	for _, b := range batches {
		most = max(most, len(b.units)+batchFixed)
	}
	if !p.allReady() || slices.ContainsFunc(p.want, func(it *pushItem) bool { return it.complete && it.failed }) {
		remove = "-"
	}
	var large strings.Builder
	n := 0
	for _, it := range p.want {
		if it.ranged && it.ready && !it.sent {
			n++
			fmt.Fprintf(&large, "%s%s%s %s\n", shellLine(p.lies(it)), shellLine(p.temp(it.rel)), it.perms(), it.stamp())
		}
	}
	head = shellLine(p.dest) + shellLine(p.part) + shellLine(placeScript) + fmt.Sprintf("%d %s %d\n", most, remove, n)
	return head + large.String(), most
}

// allReady tells whether everything can be put in place now.
func (p *push) allReady() bool {
	for _, it := range p.want {
		if !it.sent && !it.ready {
			return false
		}
	}
	return true
}

// grouped gathers what is renamed by the folder it is renamed into.
type grouped struct {
	units map[string][]unit
	order []string
}

// add adds to a folder, which is also noted if there is nothing to add.
func (g *grouped) add(dir string, u ...unit) {
	if g.units[dir] == nil {
		g.order = append(g.order, dir)
		g.units[dir] = []unit{}
	}
	g.units[dir] = append(g.units[dir], u...)
}

// batches decides what is renamed how.
func (p *push) batches() []batch {
	g := &grouped{units: map[string][]unit{}}
	units, tops := p.wholeUnits(g)
	for _, it := range p.want {
		switch top := tops[parentOf(it.rel)]; {
		case it.sent || !it.ready:
		case top != nil:
			units[top].with = append(units[top].with, it)
		default:
			g.add(parentOf(it.rel), unit{it: it})
		}
	}
	for _, it := range p.dirs {
		if u := units[it]; u != nil {
			g.add(parentOf(it.rel), *u)
			if it.Mode&0o700 != 0o700 { // it gets the rest of its mode when it is in place
				g.add(it.rel)
			}
		}
	}
	for _, it := range p.items {
		if it.stale && !it.failed {
			g.add(it.rel)
		}
	}
	var all []batch
	for _, dir := range g.order {
		all = append(all, cut(dir, g.units[dir])...)
	}
	// Folders get their time when everything is in them, folders too.
	slices.SortStableFunc(all, func(a, b batch) int { return strings.Compare(b.dir, a.dir) })
	return all
}

// wholeUnits are the folders that are renamed in one piece; tops tells for each of
// them and of those in them which one takes it along. Other folders that the VM
// lacks are to be made.
func (p *push) wholeUnits(g *grouped) (units map[*pushItem]*unit, tops map[string]*pushItem) {
	whole := p.wholeDirs()
	units, tops = map[*pushItem]*unit{}, map[string]*pushItem{}
	for _, it := range p.dirs {
		switch top := tops[parentOf(it.rel)]; {
		case it.made:
		case top != nil:
			tops[it.rel] = top
			units[top].with = append(units[top].with, it)
		case whole[it.rel]:
			tops[it.rel] = it
			units[it] = &unit{it: it}
		default:
			g.add(it.rel)
		}
	}
	return units, tops
}

// wholeDirs are the folders that the VM lacks and of which everything is ready.
func (p *push) wholeDirs() map[string]bool {
	whole := map[string]bool{}
	for _, it := range p.dirs {
		whole[it.rel] = !it.made && !it.unsure
	}
	spoil := func(rel string) {
		for dir := rel; dir != "" && whole[dir]; dir = parentOf(dir) {
			whole[dir] = false
		}
	}
	for _, it := range p.dirs {
		if !whole[it.rel] {
			spoil(parentOf(it.rel))
		}
	}
	for _, it := range p.want {
		if !it.ready {
			spoil(parentOf(it.rel))
		}
	}
	return whole
}

// parentOf is the folder of rel below the destination, "" = itself.
func parentOf(rel string) string {
	if dir := path.Dir(rel); dir != "." {
		return dir
	}
	return ""
}

// cut makes batches that fit into the arguments of a process; of no units it makes
// one, for the folder itself.
func cut(dir string, units []unit) (all []batch) {
	if len(units) == 0 {
		return []batch{{dir, units}}
	}
	for _, some := range inBatches(units, func(u unit) string { return u.it.rel }) {
		all = append(all, batch{dir, some})
	}
	return all
}

// args are the arguments of placeScript, all batches having as many.
func (b *batch) args(p *push, most int) string {
	pad := most - len(b.units) - batchFixed
	mode, mtime := p.metaOf(b.dir)
	args := []string{fmt.Sprint(pad) + strings.Repeat("\x00", pad), strings.TrimSuffix(p.temp(b.dir), "/"), strings.TrimSuffix(p.under(b.dir), "/"), mode, mtime}
	if b.dir == "" && p.dest == "/" {
		args[2] = "/"
	}
	for _, u := range b.units {
		args = append(args, path.Base(u.it.rel))
	}
	return strings.Join(args, "\x00") + "\x00"
}

// metaOf is the mode and time that a folder gets after something was put into it.
// A mode that is right stays, with the bits beyond permissions.
func (p *push) metaOf(dir string) (mode, mtime string) {
	it := p.folders[dir]
	if it == nil {
		return "-", "-"
	}
	mode = it.perms()
	if it.there != nil && it.there.Kind == 'd' && it.there.Mode&0o777 == it.Mode {
		mode = "-"
	}
	return mode, it.stamp()
}

// read reads the letters for a batch.
func (b *batch) read(s *session.Session) (string, error) {
	first, err := s.Out.ReadByte()
	if err != nil {
		return "", s.Failure(err)
	}
	if first == 'k' || first == 'H' {
		return strings.Repeat(string(first), max(len(b.units), 1)), nil
	}
	letters := make([]byte, max(len(b.units), 1))
	letters[0] = first
	if _, err := io.ReadFull(s.Out, letters[1:]); err != nil {
		return "", s.Failure(err)
	}
	return string(letters), nil
}

// placed notes what became of a batch.
func (p *push) placed(b batch, letters string) {
	ok := len(b.units) == 0 && letters == "k"
	for i, u := range b.units {
		done := letters[i] == 'k' || letters[i] == 'K'
		ok = ok || done
		switch {
		case u.it.Kind != 'd':
			u.it.why = whyOf(letters[i])
			p.placedOne(u.it, letters[i])
		case done:
			p.madeDir(u.it)
			for _, it := range u.with {
				if it.Kind == 'd' {
					p.madeDir(it)
				} else {
					p.placedOne(it, 'K')
				}
			}
		default:
			u.it.why = whyOf(letters[i])
			u.it.unsure = true // something is there meanwhile: next time thing by thing
		}
	}
	if it := p.folders[b.dir]; it != nil && len(b.units) == 0 && !ok {
		it.why = whyOf(letters[0])
	}
	for dir := b.dir; ok && dir != ""; dir = parentOf(dir) {
		if it := p.folders[dir]; it != nil && (it.there == nil || it.there.Kind != 'd') {
			p.madeDir(it)
		}
	}
}

func (p *push) madeDir(it *pushItem) {
	if !it.made {
		it.made = true
		p.c.update(func(s *Summary) { s.Dirs++ })
	}
}

// placedOne notes what became of a file or link.
func (p *push) placedOne(it *pushItem, letter byte) {
	it.sent, it.failed = true, letter != 'K' && letter != 'k'
	switch {
	case letter == 'D':
		p.c.fail(it.rel, FailRefused, inTheWayThere(true), nil)
	case it.failed:
		p.c.fail(it.rel, FailRemote, because("the VM could not rename it", it.why), it.why)
	case it.Kind == 'l' || it.first != nil:
		p.c.update(func(s *Summary) { s.Links++ })
	default:
		p.c.file(&it.Item, hexString(it.sum))
	}
}

// makeLinks makes hard links, in the partial folder, of files that are in place
// already; without tar the others, too. Where the VM cannot, they are sent as
// files of their own in the next pass.
func (p *push) makeLinks() error {
	var links []*pushItem
	var args []string
	for _, it := range p.want {
		if it.first == nil || it.sent {
			continue
		}
		from := p.lies(it.first)
		switch first := it.first; {
		case !first.wanted || first.sent && !first.failed:
			from = p.under(first.rel)
		case p.tools.Tar != "none" || !first.complete:
			continue
		}
		links, args = append(links, it), append(args, from, p.temp(it.rel))
	}
	return p.each(hardScript, nil, args, 2, func(i int, letter byte) {
		if links[i].complete = letter == 'K'; !links[i].complete {
			links[i].first = nil
		}
	})
}

// decideLinks gives further names of files that failed their outcome, and marks
// those as ready whose file is. Those that are not made yet are by the renaming.
func (p *push) decideLinks() {
	for _, it := range p.want {
		switch first := it.first; {
		case first == nil || it.sent:
		case first.sent && first.failed:
			it.sent, it.failed = true, true
			p.c.fail(it.rel, FailRemote, "a second name of "+first.rel+", which did not arrive", nil)
		case first.wanted && !first.sent:
			it.ready = first.ready && (it.complete || p.tools.Tar != "none")
		default:
			it.ready = it.complete
		}
	}
}

// linksFailed: the VM makes no hard links, so they become files.
func (p *push) linksFailed() {
	for _, it := range p.want {
		if it.first != nil && !it.sent {
			it.first, it.ready = nil, false
		}
	}
}

// staleDirs tells whether a folder needs another mode or time though nothing is
// put into it.
func (p *push) staleDirs() bool {
	for _, it := range p.items {
		if it.stale {
			return true
		}
	}
	return false
}
