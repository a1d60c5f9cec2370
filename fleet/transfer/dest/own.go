package dest

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// OwnError refuses a destination that is, or lies in, one of Options.Own.
type OwnError struct{ Dir, Own string }

func (e *OwnError) Error() string { return e.Dir + ": in " + e.Own + ", " + ownWhy }

const (
	ownWhy  = "which is vers-fleet's own configuration or state"
	homeWhy = "a dotfile of the home folder"
)

// Within tells whether dir is one of the files and folders in own, or lies in
// one, and in which. Links and the case of names count as they do for the file
// system; nothing of it need be there.
func Within(dir string, own []string) (in string, ok bool) {
	for _, o := range own {
		if _, ok := below(dir, o); ok {
			return o, true
		}
	}
	return "", false
}

// below is inner's name below outer, with slashes; "" if they are the same.
func below(inner, outer string) (rel string, ok bool) {
	dir, outer := resolve(inner), resolve(outer)
	top, err := os.Stat(outer)
	for {
		if fi, e := os.Stat(dir); dir == outer || err == nil && e == nil && os.SameFile(fi, top) {
			return rel, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir, rel = up, path.Join(filepath.Base(dir), rel)
	}
}

// resolve is the absolute path without links, as far as it is there.
func resolve(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		return target
	}
	up := filepath.Dir(name)
	if up == name {
		return name
	}
	return filepath.Join(resolve(up), filepath.Base(name))
}

// findOwn finds out which names below DEST are not a VM's to write.
func (d *Dest) findOwn() {
	for _, o := range d.o.Own {
		if rel, ok := below(o, d.path); ok {
			d.own = append(d.own, rel)
		}
	}
	if d.o.Home != "" && !d.o.Dotfiles {
		d.home, d.holdsHome = below(d.o.Home, d.path)
	}
}

// Shields tells why the file, link or (folder) folder rel is none that a VM may
// write or have removed here, or "".
func (d *Dest) Shields(rel string, folder bool) string {
	key := d.Key(rel)
	for _, own := range d.own {
		own = d.Key(own)
		if key == own || strings.HasPrefix(key, own+"/") || !folder && strings.HasPrefix(own, key+"/") {
			return "it would be written to " + own + ", " + ownWhy
		}
	}
	if d.Dotfile(rel) {
		return homeWhy
	}
	return ""
}

// Dotfile tells whether rel is, or lies in, a dotfile of the home folder, which
// Options.Dotfiles would allow.
func (d *Dest) Dotfile(rel string) bool {
	rest, ok := rel, d.holdsHome
	if d.home != "" {
		rest, ok = strings.CutPrefix(d.Key(rel), d.Key(d.home)+"/")
	}
	return ok && strings.HasPrefix(rest, ".") && !strings.HasPrefix(rest, PartialPrefix)
}

// free is the error for a name that is shielded.
func (d *Dest) free(rel string, folder bool) error {
	if why := d.Shields(rel, folder); why != "" {
		return &NameError{rel, why}
	}
	return nil
}
