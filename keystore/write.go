package keystore

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tempPrefix starts the name of every temporary file:
// .tmp~<lock>~<file>~<pid>~<random>. The lock says who may remove it; the pid
// is for people.
const tempPrefix = ".tmp~"

func tempName(lock, base string) string {
	return tempPrefix + lock + "~" + base + "~" + strconv.Itoa(os.Getpid()) + "~" + rand.Text()[:8]
}

func isTemp(name, lock string) bool { return strings.HasPrefix(name, tempPrefix+lock+"~") }

// staged is a file that is written but not yet under its name.
type staged struct{ temp, path string }

// stage writes data to a temporary file beside path and syncs it. On an error
// nothing is left.
func stage(lock, path string, data []byte, durable bool) (staged, error) {
	temp := filepath.Join(filepath.Dir(path), tempName(lock, filepath.Base(path)))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return staged{}, ioError("write", path, err)
	}
	err = fill(f, data, durable)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return staged{}, errors.Join(ioError("write", path, err), discard(temp))
	}
	return staged{temp: temp, path: path}, nil
}

func fill(f *os.File, data []byte, durable bool) error {
	if err := f.Chmod(0o600); err != nil { // a umask may have taken our own bits
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if !durable {
		return nil
	}
	return f.Sync()
}

// commit puts the file under its name. The folder is not synced yet.
func (st staged) commit() error {
	if err := os.Rename(st.temp, st.path); err != nil {
		return errors.Join(ioError("write", st.path, err), discard(st.temp))
	}
	return nil
}

// discard removes a temporary file; one that is not there is fine.
func discard(path string) error {
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return ioError("remove", path, err)
}

func syncFolder(dir string) error { return ioError("sync", dir, syncDir(dir)) }

// makeFolders creates dir below the store, and the store itself, mode 0700.
// Parents of the store are created as the umask says, but never writable by
// others.
func (s *Store) makeFolders(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return ioError("create folder", dir, err)
	}
	parent := filepath.Dir(dir)
	if dir == s.dir {
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return ioError("create folder", parent, err)
		}
	} else if err := s.makeFolders(parent); err != nil {
		return err
	}
	return makeFolder(dir)
}

// makeFolder creates one folder durably, mode 0700 whatever the umask.
func makeFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return ioError("create folder", dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return ioError("create folder", dir, err)
	}
	return syncFolder(filepath.Dir(dir))
}
