package transfer

import (
	"io/fs"
	"path"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// deleteOthers removes what is here and was not listed.
func (p *pull) deleteOthers() {
	for _, r := range p.roots {
		p.deleteIn(r, r.Land)
	}
}

// deleteIn removes what is in the folder dir, and reports whether that was all.
// As with rsync, what a filter leaves out is none of this pull's business, and
// nor is the folder that holds it.
func (p *pull) deleteIn(r *listing.Root, dir string) (empty bool) {
	entries, err := p.d.ReadDir(dir)
	if err != nil {
		p.c.fail(dir, FailLocal, "cannot be looked at: "+session.CleanLine(err.Error()), err)
		return false
	}
	empty = true
	for _, e := range entries {
		empty = p.deleteOne(r, path.Join(dir, e.Name()), e) && empty
	}
	return empty
}

// deleteOne removes name unless it was listed or a filter shields it or
// something in it, and reports whether it is gone.
func (p *pull) deleteOne(r *listing.Root, name string, e fs.DirEntry) bool {
	listed, shielded := p.seen[p.key(name)], p.shielded(r, name, e)
	if e.IsDir() {
		gone := p.deleteIn
		if !listed && !shielded {
			gone = p.deleteInUnlisted
		}
		if !gone(r, name) {
			return false
		}
	}
	if listed || shielded {
		return false
	}
	if !p.o.DryRun {
		if err := p.d.Remove(name); err != nil {
			p.localFailure(name, err)
			return false
		}
	}
	p.extra(name, e)
	p.c.deleted(name)
	return true
}

// deleteInUnlisted is deleteIn for a folder that is not on the VM: a mode that
// forbids it is in the way of nobody, and comes back if the folder stays.
func (p *pull) deleteInUnlisted(r *listing.Root, name string) (empty bool) {
	fi, err := p.d.Lstat(name)
	if err != nil || p.o.DryRun {
		return p.deleteIn(r, name)
	}
	if err := p.d.Unlock(name); err != nil {
		p.localFailure(name, err)
		return false
	}
	if empty = p.deleteIn(r, name); !empty {
		_ = p.d.SetMeta(name, fi.Mode().Perm(), fi.ModTime())
	}
	return empty
}

// shielded tells whether a filter leaves a name out, or it is none of the VM's.
func (p *pull) shielded(r *listing.Root, name string, e fs.DirEntry) bool {
	it := listing.Item{Root: r, Sub: strings.TrimPrefix(strings.TrimPrefix(name, r.Land), "/"), Kind: 'f'}
	if e.IsDir() {
		it.Kind = 'd'
	} else if fi, err := e.Info(); err == nil {
		it.Size, it.Mtime = fi.Size(), listing.Ns(fi.ModTime())
	}
	if it.Kind == 'd' && p.f.HasInclude() || p.d.Shields(name, it.Kind == 'd') != "" {
		return true
	}
	return !p.f.Wants(&it)
}
