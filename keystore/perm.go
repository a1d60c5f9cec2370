package keystore

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// checkFolder refuses a folder that is not ours alone. The rules are those of
// OpenSSH for private keys (sshkey_perm_ok in authfile.c): ours, and no bit
// for group or others; a symbolic link is refused as well.
func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return ioError("open folder", dir, err)
	}
	if !info.IsDir() {
		return specialFile("open folder", dir, info)
	}
	return checkInfo("open folder", dir, info, 0o077, "chmod -R go-rwx ")
}

// checkParent refuses a parent in which any user could replace the store.
func checkParent(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return ioError("open folder", dir, err)
	}
	if runtimeChecksModes && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return &Error{
			Kind: KindTooOpen, Op: "open folder", Path: dir,
			Why: "any user can replace what is in it", Next: "chmod o-w " + safe.Word(dir),
		}
	}
	return nil
}

// checkInfo refuses a foreign owner and the forbidden access for group or
// others.
func checkInfo(op, path string, info fs.FileInfo, forbidden fs.FileMode, chmod string) error {
	if !runtimeChecksModes {
		return nil
	}
	if owner, ok := ownerOf(info); ok && owner != os.Geteuid() {
		return &Error{
			Kind: KindForeignOwner, Op: op, Path: path,
			Why: "it belongs to another user", Next: `sudo chown -R "$(id -u)" ` + safe.Word(path),
		}
	}
	if info.Mode().Perm()&forbidden != 0 {
		return &Error{
			Kind: KindTooOpen, Op: op, Path: path,
			Why:  "group or others have access (mode " + info.Mode().Perm().String() + ")",
			Next: chmod + safe.Word(path),
		}
	}
	return nil
}

func specialFile(op, path string, info fs.FileInfo) error {
	e := &Error{Kind: KindSymlink, Op: op, Path: path, Why: "it is not a regular file or folder"}
	if info.Mode()&fs.ModeSymlink == 0 {
		return e
	}
	e.Why = "it is a symbolic link"
	if target, err := filepath.EvalSymlinks(path); err == nil {
		e.Next = "rm " + safe.Word(path) + " && cp -Rp " + safe.Word(target) + " " + safe.Word(path)
	}
	return e
}

// readPrivate reads a file of ours that holds a secret, after checking, on the
// open file, that it is a regular file nobody else has access to, and not
// larger than limit.
func readPrivate(op, path string, limit int64) ([]byte, error) {
	return readOwn(op, path, limit, 0o077)
}

// readShown is readPrivate for a file without secrets, which others may read
// but not write.
func readShown(op, path string, limit int64) ([]byte, error) {
	return readOwn(op, path, limit, 0o022)
}

func readOwn(op, path string, limit int64, forbidden fs.FileMode) ([]byte, error) {
	var data bytes.Buffer
	err := readInto(&data, op, path, limit, forbidden)
	return data.Bytes(), err
}

// readText is readShown for a text of which parts are kept: it is not copied.
func readText(op, path string, limit int64) (string, error) {
	var text strings.Builder
	err := readInto(&text, op, path, limit, 0o022)
	return text.String(), err
}

func readInto(to interface {
	io.Writer
	Grow(n int)
	Len() int
}, op, path string, limit int64, forbidden fs.FileMode) error {
	f, err := openNoFollow(path)
	if err != nil {
		if info, lerr := os.Lstat(path); lerr == nil && !info.Mode().IsRegular() {
			return specialFile(op, path, info)
		}
		return ioError(op, path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ioError(op, path, err)
	}
	if !info.Mode().IsRegular() {
		return specialFile(op, path, info)
	}
	if err := checkInfo(op, path, info, forbidden, "chmod 600 "); err != nil {
		return err
	}
	to.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
	if _, err := io.Copy(to, io.LimitReader(f, limit+1)); err != nil {
		return ioError(op, path, err)
	}
	if int64(to.Len()) > limit {
		return &Error{Kind: KindDamaged, Op: op, Path: path, Why: "it is far too large"}
	}
	return nil
}

// unusable tells whether err says that a file is there but not what it should
// be: of the wrong type, mode or owner, or far too large.
func unusable(err error) bool {
	switch KindOf(err) {
	case KindTooOpen, KindForeignOwner, KindSymlink, KindDamaged:
		return true
	}
	return errors.Is(err, fs.ErrPermission) // another user's, such as root's after a sudo
}
