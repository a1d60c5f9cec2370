package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"path"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// bySFTP sends over SFTP after the shell did not answer (why). It cannot hash:
// the size is checked before the rename.
func (p *push) bySFTP(why error) error {
	if session.IsDrop(why) || isAnswer(why) || IsLimit(why) {
		return why
	}
	p.c.logf("push by SFTP: the shell way fails: %v", why)
	client, m, err := openSFTP(p.ctx, p.conn, unlimited)
	if err != nil {
		return &ToolError{"the VM takes files neither by a shell nor by SFTP", errors.Join(why, err)}
	}
	defer func() { _ = client.Close() }()
	stop := context.AfterFunc(p.ctx, func() { _ = client.Close() })
	defer stop()
	p.client = client
	return m.cause(p.sendBySFTP(client, m))
}

func (p *push) sendBySFTP(client *sftp.Client, m *meter) error {
	p.tools = listing.Tools{List: "sftp", Hash: "none"}
	p.c.update(func(s *Summary) { s.Verified, s.Method = p.tools.Verified(), p.tools.Method() })
	if err := p.sftpDest(client); err != nil {
		return err
	}
	if err := p.sftpStrangers(client, m); err != nil {
		return err
	}
	for _, it := range p.items {
		if err := p.sftpSend(client, it); err != nil {
			if !isStatus(err) {
				return err
			}
			it.failed = true
			why := whyIn(err.Error(), err)
			if why == nil {
				why = errors.New(session.CleanLine(err.Error()))
			}
			p.c.fail(it.rel, FailRemote, because("the VM cannot write it", why), why)
		}
	}
	if !p.o.DryRun {
		for _, it := range p.dirsToFix() {
			name := p.under(it.rel)
			if err := errors.Join(client.Chmod(name, it.Perm()), client.Chtimes(name, it.sftpTime(), it.sftpTime())); err != nil && !isStatus(err) {
				return err
			}
		}
	}
	p.planDeletions()
	return p.deleteOthers()
}

// sftpDest decides where things land, and makes that folder.
func (p *push) sftpDest(client *sftp.Client) error {
	r := listing.NewRoot(p.o.Dest)
	p.dest = r.Remote
	fi, err := client.Stat(p.dest)
	isDir := err == nil && fi.IsDir()
	if p.lone != nil && r.Land != "" && !isDir {
		p.lone.rel, p.dest = path.Base(p.dest), path.Dir(p.dest)
	}
	if p.o.DryRun {
		return nil
	}
	if err := client.MkdirAll(p.dest); err != nil {
		return &ToolError{"the VM cannot make the folder " + session.CleanLine(p.o.Dest), err}
	}
	return nil
}

func (p *push) sftpSend(client *sftp.Client, it *pushItem) error {
	name := p.under(it.rel)
	there, err := client.Lstat(name)
	if err != nil && !isStatus(err) {
		return err
	}
	exists := err == nil
	switch {
	case it.Kind == 'd' && exists && there.IsDir():
		it.stale = uint32(there.Mode().Perm()) != it.Mode || !there.ModTime().Equal(it.sftpTime())
		it.there = &listing.Item{Kind: 'd'}
		return nil
	case it.Kind == 'd':
		p.c.update(func(s *Summary) { s.Dirs++ })
		it.made = true
		p.dirs = append(p.dirs, it)
		if p.o.DryRun {
			return nil
		}
		return client.MkdirAll(name)
	case exists && inTheWay(there):
		p.c.fail(it.rel, FailRefused, inTheWayThere(there.IsDir()), nil)
		return nil
	case exists && it.Kind == 'f' && there.Mode().IsRegular() && there.Size() == it.Size && there.ModTime().Equal(it.sftpTime()):
		p.c.update(func(s *Summary) { s.Unchanged++ })
		return nil
	case p.o.DryRun:
		p.c.file(&it.Item, "")
		return nil
	}
	p.want = append(p.want, it)
	temp := path.Join(path.Dir(name), dest.PartialPrefix+tempID(it.rel))
	isLink, err := p.sftpLink(client, it, temp)
	if err != nil {
		return err
	}
	if !isLink {
		return p.sftpFileSend(client, it, temp, name)
	}
	p.c.update(func(s *Summary) { s.Links++ })
	return client.PosixRename(temp, name)
}

// sftpLink makes a symlink, or a hard link where the VM can; done is false if it is
// to be sent as a file.
func (p *push) sftpLink(client *sftp.Client, it *pushItem, temp string) (done bool, err error) {
	if it.first != nil && !it.first.failed {
		_ = client.Remove(temp)
		if client.Link(p.under(it.first.rel), temp) == nil {
			return true, nil
		}
	}
	if it.Kind != 'l' {
		return false, nil
	}
	_ = client.Remove(temp)
	return true, client.Symlink(it.Target, temp)
}

func (p *push) sftpFileSend(client *sftp.Client, it *pushItem, temp, name string) error {
	f, err := dest.OpenRegular(it.local)
	if err != nil {
		p.localGone(it, err)
		return nil
	}
	defer func() { _ = f.Close() }()
	if !strings.HasPrefix(temp, "/") {
		temp = "./" + temp
	}
	p.c.want(it.Size)
	out, err := client.Create(temp)
	if err != nil {
		return err
	}
	n, moved, err := sftpWrite(out, f, it)
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil && n != it.Size {
		p.c.fail(it.rel, FailChanging, "the file changed while it was sent", nil)
		return client.Remove(temp)
	}
	if err == nil {
		err = errors.Join(client.Chmod(temp, it.Perm()), client.Chtimes(temp, it.sftpTime(), it.sftpTime()))
	}
	if err == nil {
		err = client.PosixRename(temp, name)
	}
	if err != nil {
		_ = client.Remove(temp)
		return err
	}
	p.c.have(n, moved)
	p.c.file(&it.Item, "")
	return nil
}

// sftpWrite writes a file without its holes, and returns how far it came.
func sftpWrite(out *sftp.File, f *os.File, it *pushItem) (n, moved int64, err error) {
	parts := byteRanges{{0, it.Size}}
	if it.holey() {
		parts = dataIn(f, it.Size)
	}
	for _, part := range parts {
		if _, err := out.Seek(part.off, io.SeekStart); err != nil {
			return n, moved, err
		}
		m, err := out.ReadFromWithConcurrency(io.NewSectionReader(f, part.off, part.len()), 64)
		n, moved = part.off+m, moved+m
		if err != nil || m < part.len() {
			return n, moved, err
		}
	}
	if n < it.Size {
		n, err = it.Size, out.Truncate(it.Size)
	}
	return n, moved, err
}

// sftpTime is the time as SFTP can tell it: in 32 bits of seconds since 1970
// (draft-ietf-secsh-filexfer-02, section 5).
func (it *pushItem) sftpTime() time.Time {
	return time.Unix(min(max(it.ModTime().Unix(), 0), math.MaxUint32), 0)
}

// tempID names the unfinished file of rel beside its place.
func tempID(rel string) string {
	sum := sha256.Sum256([]byte(rel))
	return hex.EncodeToString(sum[:16])
}

// dirsToFix are the folders whose mode or time is not right, or is changed by
// what is put in them, those below others first.
func (p *push) dirsToFix() (dirs []*pushItem) {
	touched := map[string]bool{}
	for _, it := range p.want {
		touched[path.Dir(it.rel)] = true
	}
	for _, it := range p.dirs {
		touched[path.Dir(it.rel)] = true
	}
	for i := len(p.items) - 1; i >= 0; i-- {
		it := p.items[i]
		lacking := it.there == nil || it.there.Kind != 'd'
		if it.Kind == 'd' && !it.failed && (lacking || it.stale || touched[it.rel]) && (it.there == nil || it.there.Kind == 'd') {
			dirs = append(dirs, it)
		}
	}
	return dirs
}
