package box

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/pkg/sftp"
)

// sftp serves the VM's files on the session's channel.
func (s *session) sftp() int {
	h := &sftpFiles{ctx: s.ctx, fs: s.conn.m.FS}
	server := sftp.NewRequestServer(s.channel, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithStartDirectory("/root"))
	stop := context.AfterFunc(s.ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
		return 1
	}
	return 0
}

// sftpFiles answers SFTP requests from a VM's confined file system.
type sftpFiles struct {
	ctx context.Context
	fs  *FS
}

// Fileread opens a file to read from any place.
func (h *sftpFiles) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	return h.open(r.Filepath, os.O_RDONLY)
}

// Filewrite opens a file to write at any place.
func (h *sftpFiles) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	return h.OpenFile(r)
}

// OpenFile opens a file to read and write.
func (h *sftpFiles) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	flags := r.Pflags()
	mode := os.O_WRONLY
	if flags.Read {
		mode = os.O_RDWR
	}
	if flags.Creat {
		mode |= os.O_CREATE
	}
	if flags.Trunc {
		mode |= os.O_TRUNC
	}
	if flags.Excl {
		mode |= os.O_EXCL
	}
	return h.open(r.Filepath, mode)
}

func (h *sftpFiles) open(name string, flag int) (sftp.WriterAtReaderAt, error) {
	file, err := h.fs.openFile(h.ctx, name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	at, ok := file.(sftp.WriterAtReaderAt)
	if !ok { // a device or FIFO: nothing to seek in
		return nil, errors.Join(syscall.EINVAL, file.Close())
	}
	return at, nil
}

// Filecmd serves the requests that change something.
func (h *sftpFiles) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return h.setstat(r)
	case "Rename":
		if _, err := h.fs.lstat(r.Target); err == nil {
			return fs.ErrExist // the protocol's rename does not overwrite
		}
		return h.fs.rename(r.Filepath, r.Target)
	case "Rmdir", "Remove":
		fi, err := h.fs.lstat(r.Filepath)
		if err == nil && fi.IsDir() != (r.Method == "Rmdir") {
			return syscall.EINVAL
		}
		return h.fs.remove(r.Filepath)
	case "Mkdir":
		return h.fs.mkdir(r.Filepath, 0o755)
	case "Link":
		return h.fs.link(r.Filepath, r.Target)
	case "Symlink":
		return h.fs.Symlink(r.Filepath, r.Target)
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename overwrites, as rename(2) does.
func (h *sftpFiles) PosixRename(r *sftp.Request) error { return h.fs.rename(r.Filepath, r.Target) }

// StatVFS tells how much room is left.
func (h *sftpFiles) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	total, free := h.fs.space()
	const block = 4096
	return &sftp.StatVFS{Bsize: block, Frsize: block, Blocks: uint64(total) / block, Bfree: uint64(free) / block,
		Bavail: uint64(free) / block, Files: 1 << 20, Ffree: 1 << 19, Favail: 1 << 19, Namemax: 255}, nil
}

func (h *sftpFiles) setstat(r *sftp.Request) error {
	flags, attrs := r.AttrFlags(), r.Attributes()
	var errs []error
	if flags.Size {
		errs = append(errs, h.fs.truncate(r.Filepath, int64(attrs.Size)))
	}
	if flags.Permissions {
		errs = append(errs, h.fs.Chmod(r.Filepath, attrs.FileMode()))
	}
	if flags.Acmodtime {
		errs = append(errs, h.fs.Chtimes(r.Filepath, time.Unix(int64(attrs.Atime), 0), time.Unix(int64(attrs.Mtime), 0)))
	}
	return errors.Join(errs...)
}

// Filelist serves the requests that read names and attributes.
func (h *sftpFiles) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method == "Stat" {
		fi, err := h.fs.stat(r.Filepath)
		return infoList{fi}, err
	}
	if r.Method != "List" {
		return nil, sftp.ErrSSHFxOpUnsupported
	}
	entries, err := h.fs.readDir(r.Filepath)
	if err != nil {
		return nil, err
	}
	list := make(infoList, 0, len(entries))
	for _, e := range entries {
		if fi, err := h.fs.entry(path.Join(r.Filepath, e.Name()), e); err == nil { // else: gone meanwhile
			list = append(list, fi)
		}
	}
	return list, nil
}

// Lstat does not follow a link.
func (h *sftpFiles) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	fi, err := h.fs.lstat(r.Filepath)
	return infoList{fi}, err
}

// RealPath makes a path absolute and resolves the links in it.
func (h *sftpFiles) RealPath(name string) (string, error) {
	if !path.IsAbs(name) {
		name = path.Join("/root", name)
	}
	return h.fs.realPath(name)
}

// Readlink returns a link's target.
func (h *sftpFiles) Readlink(name string) (string, error) { return h.fs.readlink(name) }

// LookupUserName says that everything in a VM belongs to root.
func (h *sftpFiles) LookupUserName(string) string { return "root" }

// LookupGroupName says that everything in a VM belongs to root.
func (h *sftpFiles) LookupGroupName(string) string { return "root" }

// infoList is a list of files in the form the SFTP server wants.
type infoList []os.FileInfo

// ListAt copies a part of the list.
func (l infoList) ListAt(into []os.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}
