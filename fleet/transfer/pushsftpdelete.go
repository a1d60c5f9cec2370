package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// sftpStrangers is mayDelete and the listing of what is to be deleted, over SFTP.
func (p *push) sftpStrangers(client *sftp.Client, m *meter) error {
	defer m.left.Store(unlimited)
	sent := map[string]bool{}
	for _, it := range p.items {
		sent[it.rel] = true
	}
	w := sftpWalk{client, m, &listing.Root{Remote: p.dest}, func(error) {}} // what is in it stays
	note := func(sub string, fi os.FileInfo) error {
		it, ok := sftpListed(w.r, sub, fi)
		if !ok || sent[sub] || strings.Contains(fi.Name(), "/") || dest.CheckName(sub) != "" {
			return nil
		}
		return p.stranger(it)
	}
	for _, area := range p.del.areas {
		name := strings.TrimSuffix(p.under(area), "/")
		if area != "" {
			if fi, err := client.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
				return p.isLink(area)
			}
		}
		holds, there, err := sftpHoldsHome(client, name)
		switch {
		case err != nil:
			return err
		case holds:
			return p.holdsHome(area)
		case there:
			if err := w.below(p.ctx, area, note); err != nil {
				return err
			}
		}
	}
	return nil
}

// sftpHoldsHome tells whether a folder is there, and whether the login folder is it or
// lies in it.
func sftpHoldsHome(client *sftp.Client, name string) (holds, there bool, err error) {
	fi, err := client.Stat(name)
	if err != nil && !isStatus(err) {
		return false, false, err
	}
	if err != nil || !fi.IsDir() {
		return false, false, nil
	}
	home, err := client.RealPath(".")
	if err != nil {
		return false, true, err
	}
	truly, err := client.RealPath(name)
	return strings.HasPrefix(strings.TrimSuffix(home, "/")+"/", strings.TrimSuffix(truly, "/")+"/"), true, err
}

// sftpDelete removes over SFTP. It names things by their paths: each folder is held
// against its real path first, so that no link on the way is followed.
func (p *push) sftpDelete() error {
	top, err := p.client.RealPath(p.dest)
	if err != nil {
		return err
	}
	for _, b := range p.del.deleteBatches() {
		if err := p.sftpDeleteIn(strings.TrimSuffix(below(top, b.in), "/"), &b); err != nil {
			return err
		}
	}
	return nil
}

// sftpDeleteIn removes things from one folder, which keeps its mode and time.
func (p *push) sftpDeleteIn(dir string, b *deleteBatch) error {
	truly, err := p.client.RealPath(dir)
	if err == nil && truly != dir {
		err = errors.New("a folder on the way is a symlink now")
	}
	fi, statErr := p.client.Lstat(dir)
	locked := err == nil && statErr == nil && fi.Mode().Perm()&0o300 != 0o300
	if locked {
		_ = p.client.Chmod(dir, fi.Mode().Perm()|0o700)
	}
	for _, x := range b.items {
		name, e := below(dir, path.Base(x.rel)), err
		switch {
		case e != nil:
		case x.dir:
			e = p.client.RemoveDirectory(name)
		default:
			e = p.client.Remove(name)
		}
		switch {
		case e == nil || errors.Is(e, fs.ErrNotExist):
			p.deleted(x)
		case err == nil && !isStatus(e):
			return e
		default:
			p.notDeleted(x, e)
		}
	}
	if err == nil && statErr == nil {
		if locked {
			_ = p.client.Chmod(dir, fi.Mode().Perm())
		}
		_ = p.client.Chtimes(dir, fi.ModTime(), fi.ModTime())
	}
	return nil
}
