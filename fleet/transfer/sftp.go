package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// SFTP is the last resort: for a VM that runs no commands or has neither find
// nor xargs. It cannot hash, knows whole seconds only, and needs round trips
// per file; many files at once make up for that.

const (
	sftpFiles  = 32 // files at once per connection
	sftpChunks = 4  // chunks of large files at once per connection
	sftpDirs   = 16 // folders listed at once
	// maxSFTPListing bounds what the VM may send while folders are listed.
	maxSFTPListing = 256 << 20
)

// meter counts what comes, and ends an answer that is too long.
type meter struct {
	io.ReadWriteCloser
	left atomic.Int64
	err  atomic.Pointer[error]
}

// cause is why an operation failed with err: the library only says that the
// connection is lost.
func (m *meter) cause(err error) error {
	if why := m.err.Load(); why != nil && err != nil && !isStatus(err) {
		return *why
	}
	return err
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.ReadWriteCloser.Read(p)
	if m.left.Add(int64(-n)) < 0 {
		err = listing.Limit("folders of more than %d MiB", maxSFTPListing>>20)
		n = 0
	}
	if err != nil {
		m.err.CompareAndSwap(nil, &err)
	}
	return n, err
}

// unlimited is for when contents are read; the files' sizes bound them.
const unlimited = int64(1) << 62

func openSFTP(ctx context.Context, c *session.Conn, limit int64) (*sftp.Client, *meter, error) {
	rw, err := c.SFTP(ctx)
	if err != nil {
		return nil, nil, err
	}
	m := &meter{ReadWriteCloser: rw}
	m.left.Store(limit)
	client, err := sftp.NewClientPipe(m, m)
	if err != nil {
		_ = rw.Close()
		return nil, nil, m.cause(err)
	}
	return client, m, nil
}

// listBySFTP walks the roots after the shell did not answer (why).
func (p *pull) listBySFTP(why error) error {
	p.c.logf("listing by SFTP: the shell way fails: %v", why)
	w, err := p.anyWorker(p.ctx)
	if err != nil {
		return err
	}
	client, m, err := openSFTP(p.ctx, w.conn, maxSFTPListing)
	if err != nil {
		return &ToolError{"the VM can neither list files by find, xargs and sh nor by SFTP", errors.Join(why, err)}
	}
	defer func() { _ = client.Close() }()
	stop := context.AfterFunc(p.ctx, func() { _ = client.Close() })
	defer stop()
	if err := p.Tools(listing.Tools{List: "sftp", Tar: "none", Hash: "none"}); err != nil {
		return err
	}
	p.complete = true
	if p.roots, err = expandBySFTP(client, p.roots); err != nil {
		p.complete = false
		p.brokeOff(p.roots[0], m.cause(err))
	}
	for _, r := range p.roots {
		if err := p.walkRoot(client, m, r); err != nil {
			p.complete = false
			if p.ctx.Err() != nil {
				return context.Cause(p.ctx)
			}
			p.brokeOff(r, m.cause(err))
		}
	}
	p.c.update(func(s *Summary) { s.Complete = p.complete && p.missing == 0 })
	p.c.send(EventPlanned, "", "")
	return nil
}

func (p *pull) walkRoot(client *sftp.Client, m *meter, r *listing.Root) error {
	fi, err := client.Stat(r.Remote)
	if errors.Is(err, fs.ErrNotExist) {
		fi, err = client.Lstat(r.Remote)
	}
	if errors.Is(err, fs.ErrNotExist) {
		p.Missing(r)
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.sftpItem(client, r, "", fi); err != nil || !fi.IsDir() {
		return err
	}
	w := sftpWalk{client, m, r, func(err error) {
		p.complete = false
		p.c.fail(r.Asked, FailRemote, "a folder could not be listed: "+session.CleanLine(err.Error()), err)
	}}
	return w.below(p.ctx, "", func(sub string, fi os.FileInfo) error { return p.sftpItem(client, r, sub, fi) })
}

// sftpWalk goes through folders of a VM, several at once.
type sftpWalk struct {
	client     *sftp.Client
	m          *meter
	r          *listing.Root
	unreadable func(error) // is told of a folder that the VM does not list
}

// below hands over what is in the folder top of the root, and in the folders there.
func (w sftpWalk) below(ctx context.Context, top string, each func(sub string, fi os.FileInfo) error) error {
	dirs := []string{top}
	for len(dirs) > 0 {
		n := min(len(dirs), sftpDirs)
		batch := slices.Clone(dirs[len(dirs)-n:])
		dirs = dirs[:len(dirs)-n]
		w.m.left.Store(maxSFTPListing)
		for i, list := range readDirs(ctx, w.client, w.r, batch) {
			if list.err != nil && !isStatus(list.err) {
				return list.err
			}
			if list.err != nil {
				w.unreadable(list.err)
			}
			for _, fi := range list.infos {
				sub := path.Join(batch[i], fi.Name())
				if batch[i] == "" {
					sub = fi.Name()
				}
				if err := each(sub, fi); err != nil {
					return err
				}
				if fi.IsDir() && !strings.Contains(fi.Name(), "/") && dest.CheckName(sub) == "" { // else d holds d
					dirs = append(dirs, sub)
				}
			}
		}
	}
	return nil
}

type dirList struct {
	infos []os.FileInfo
	err   error
}

// readDirs lists several folders at once.
func readDirs(ctx context.Context, client *sftp.Client, r *listing.Root, subs []string) []dirList {
	lists := make([]dirList, len(subs))
	var wg sync.WaitGroup
	for i, sub := range subs {
		wg.Go(func() {
			it := listing.Item{Root: r, Sub: sub}
			lists[i].infos, lists[i].err = client.ReadDirContext(ctx, it.Remote())
		})
	}
	wg.Wait()
	return lists
}

// sftpItem hands one item to the plan.
func (p *pull) sftpItem(client *sftp.Client, r *listing.Root, sub string, fi os.FileInfo) error {
	it, ok := sftpListed(r, sub, fi)
	if !ok {
		p.Refused(it.Rel(), "its attributes make no sense")
		return nil
	}
	if sub != "" {
		if why := dest.CheckName(it.Rel()); why != "" {
			p.Refused(it.Rel(), why)
			return nil
		}
	}
	if it.Kind == 'l' {
		target, err := client.ReadLink(it.Remote())
		if err != nil && !isStatus(err) {
			return err
		}
		it.Target = target
	}
	if len(p.seen) >= listing.MaxItems {
		return listing.Limit("more than %d files and folders", listing.MaxItems)
	}
	return p.Item(it)
}

// sftpListed is what SFTP tells of an item, if it makes sense.
func sftpListed(r *listing.Root, sub string, fi os.FileInfo) (it listing.Item, ok bool) {
	it = listing.Item{Root: r, Sub: sub, Size: fi.Size(), Mtime: listing.Ns(fi.ModTime()), Coarse: true, Blocks: -1}
	st, ok := fi.Sys().(*sftp.FileStat)
	if ok {
		it.Mode, it.Kind = st.Mode&0o7777, listing.KindOf(uint64(st.Mode))
	}
	return it, ok && it.Size >= 0
}

// isStatus tells whether err is an answer of the server about one file, so that
// the connection is fine.
func isStatus(err error) bool {
	var status *sftp.StatusError
	return errors.As(err, &status) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}
