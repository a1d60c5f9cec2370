package transfer

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// DeletionError says why PushOptions.Delete is refused. Nothing was changed.
type DeletionError struct{ Path, Why string }

func (e *DeletionError) Error() string { return e.Path + ": " + e.Why }

// deletion is what a push removes from the VM.
type deletion struct {
	areas  []string                 // folders below the destination, "" = itself, that are to hold what is here and no more
	seen   map[string]bool          // what is here, also what a filter leaves out, by where it would land
	found  []listing.Item           // what the VM has in these folders and is not sent
	mem    int64                    // what these take, about
	dirs   map[string]*listing.Item // the folders of found
	top    *listing.Item            // the destination itself
	doomed []doomed
}

// doomed is something that is to be removed.
type doomed struct {
	rel  string
	dir  bool
	gone bool
}

// covers tells whether rel lies in one of the folders.
func (d *deletion) covers(rel string) bool {
	return slices.ContainsFunc(d.areas, func(area string) bool { return area == "" || strings.HasPrefix(rel, area+"/") })
}

// addArea notes a folder that was walked here, with n items in it. One without any
// is more likely a mistake, such as a disk that is not mounted, than meant.
func (p *push) addArea(src, base string, n int) error {
	if !p.o.Delete {
		return nil
	}
	if n == 0 {
		return &DeletionError{src, "it is empty, and deleting what is not in it would empty the folder on the VM"}
	}
	p.del.areas = append(p.del.areas, base)
	return nil
}

// needsArea refuses to delete where no folder is sent.
func (p *push) needsArea() error {
	if p.o.Delete && len(p.del.areas) == 0 {
		return &DeletionError{strings.Join(p.o.Sources, " "), "no folder is sent, and so there is none to delete from"}
	}
	return nil
}

// stranger notes what the VM has and is not sent.
func (p *push) stranger(it listing.Item) error {
	rel := it.Rel()
	if !p.del.covers(rel) {
		return nil
	}
	if p.del.mem += int64(len(rel)) + 200; p.del.mem > maxPlanMem {
		return listing.Limit("what it has more than is here needs more than %d MiB to be compared", maxPlanMem>>20)
	}
	p.del.found = append(p.del.found, it)
	return nil
}

// mayDelete asks the VM about the folders in which things are to be removed.
func (p *push) mayDelete() error {
	if !p.o.Delete {
		return nil
	}
	letters, err := p.statusLetters(areasScript, len(p.del.areas), append([]string{p.dest}, p.del.areas...)...)
	if err != nil {
		return err
	}
	for i, area := range p.del.areas {
		switch letters[i] {
		case 'H':
			return p.holdsHome(area)
		case 'L':
			return p.isLink(area)
		}
	}
	return nil
}

func (p *push) holdsHome(area string) error {
	return &DeletionError{p.under(area), "it is the login folder of the VM or holds it; what is not here cannot be deleted from there"}
}

func (p *push) isLink(area string) error {
	return &DeletionError{p.under(area), "it is a symlink on the VM, and nothing is deleted through one"}
}

// planDeletions decides what is removed, what lies in a folder before that. As with
// rsync, what a filter leaves out is none of this push's business, and nor is the
// folder that holds it.
func (p *push) planDeletions() {
	d := &p.del
	keep := map[string]bool{}
	d.dirs, d.doomed = map[string]*listing.Item{}, nil
	for i := range d.found {
		it := &d.found[i]
		rel := it.Rel()
		if it.Kind == 'd' {
			d.dirs[rel] = it
		}
		if p.spared(it, rel) {
			for name := rel; name != "" && !keep[name]; name = parentOf(name) {
				keep[name] = true
			}
		}
	}
	for i := range d.found {
		if it := &d.found[i]; !keep[it.Rel()] {
			d.doomed = append(d.doomed, doomed{rel: it.Rel(), dir: it.Kind == 'd'})
		}
	}
	slices.SortFunc(d.doomed, func(a, b doomed) int { return strings.Compare(b.rel, a.rel) })
}

// spared tells whether something on the VM is here under that name, is shielded by a
// filter, or belongs to a push that is not finished.
func (p *push) spared(it *listing.Item, rel string) bool {
	if p.del.seen[rel] || strings.Contains("/"+rel, "/"+dest.PartialPrefix) || it.Kind == 'd' && p.f.HasInclude() {
		return true
	}
	for _, area := range p.del.areas {
		sub, ok := strings.CutPrefix("/"+rel, strings.TrimSuffix("/"+area, "/")+"/")
		as := *it
		as.Root, as.Sub = &listing.Root{Land: area}, sub
		if ok && !p.f.Wants(&as) {
			return true
		}
	}
	return false
}

// deleteOthers removes what is on the VM and not here, if everything that is here
// has arrived.
func (p *push) deleteOthers() error {
	if len(p.del.doomed) == 0 {
		return nil
	}
	if p.c.summary().Failed > 0 {
		p.c.logf("nothing is deleted: not everything was sent")
		return nil
	}
	if p.o.DryRun {
		for i := range p.del.doomed {
			p.deleted(&p.del.doomed[i])
		}
		return nil
	}
	if p.client != nil {
		return p.sftpDelete()
	}
	return p.shellDelete()
}

// deleted notes what is gone.
func (p *push) deleted(x *doomed) {
	x.gone = true
	p.c.deleted(x.rel)
}

// notDeleted notes what is still there.
func (p *push) notDeleted(x *doomed, err error) {
	x.gone = true
	what := "the VM could not delete it, or there is something new in it"
	if why := whyIn("", err); why != nil {
		what, err = because("the VM could not delete it", why), why
	}
	p.c.fail(x.rel, FailRemote, what, err)
}

// deleteBatch is what one process removes from one folder: files and links, or
// folders.
type deleteBatch struct {
	in    string
	dir   bool
	items []*doomed
}

// deleteFixed are the arguments of deleteScript that are no names.
const deleteFixed = 5

// deleteBatches gathers what is left to remove by folder, folders in others first.
func (d *deletion) deleteBatches() (all []deleteBatch) {
	units := map[string][2][]*doomed{}
	var order []string
	for i := range d.doomed {
		x := &d.doomed[i]
		in := parentOf(x.rel)
		u, known := units[in]
		if !known {
			order = append(order, in)
		}
		kind := 0
		if x.dir {
			kind = 1
		}
		if !x.gone {
			u[kind] = append(u[kind], x)
		}
		units[in] = u
	}
	slices.SortFunc(order, func(a, b string) int { return strings.Compare(b, a) })
	for _, in := range order {
		for kind, items := range units[in] {
			for _, some := range inBatches(items, func(x *doomed) string { return x.rel }) {
				all = append(all, deleteBatch{in, kind == 1, some})
			}
		}
	}
	return all
}

// args are the arguments of deleteScript, all batches having as many.
func (b *deleteBatch) args(p *push, most int) string {
	kind := "f"
	if b.dir {
		kind = "d"
	}
	pad := most - len(b.items) - deleteFixed
	mode, mtime := p.metaBefore(b.in)
	args := []string{fmt.Sprint(pad) + strings.Repeat("\x00", pad), b.in, kind, mode, mtime}
	for _, x := range b.items {
		args = append(args, path.Base(x.rel))
	}
	return strings.Join(args, "\x00") + "\x00"
}

// metaBefore is the mode and time of a folder that something is removed from: what
// it has here, or what it had on the VM.
func (p *push) metaBefore(dir string) (mode, mtime string) {
	if it := p.folders[dir]; it != nil {
		return it.perms(), it.stamp()
	}
	if it := p.del.dirs[dir]; it != nil {
		as := pushItem{Item: *it}
		return as.perms(), as.stamp()
	}
	if dir == "" && p.del.top != nil {
		return (&pushItem{Item: *p.del.top}).perms(), "-"
	}
	return "-", "-"
}

// shellDelete removes by one command.
func (p *push) shellDelete() error {
	all := p.del.deleteBatches()
	s := p.conn.Start(p.ctx, pushDeleteCmd)
	defer s.Stop()
	s.Due("the deletion", scriptWork)
	most := 1
	for _, b := range all {
		most = max(most, len(b.items)+deleteFixed)
	}
	s.Input(func(w *bufio.Writer) error {
		_, err := fmt.Fprintf(w, "%s%s%d\n", shellLine(p.dest), shellLine(deleteScript), most)
		for _, b := range all {
			_, err = io.WriteString(w, b.args(p, most))
		}
		return err
	})
	if err := s.Ready(); err != nil {
		return err
	}
	for _, b := range all {
		for _, x := range b.items {
			letter, err := s.Out.ReadByte()
			if err != nil {
				return toolError(s, s.Failure(err))
			}
			if letter == 'K' {
				p.deleted(x)
			} else {
				p.notDeleted(x, whyOf(letter))
			}
		}
	}
	if err := s.Drain(64 << 10); err != nil && !session.Exited(err) {
		return err
	}
	return nil
}
