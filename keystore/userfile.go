package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The files here are outside the store: a person named them, or another program
// keeps them. They may be anything.

var (
	errNotRegular  = errors.New("it is not a regular file")
	errNobodyReads = errors.New("nobody reads from it")
)

// OpenFile opens a file for reading. What is no regular file is refused, for a
// FIFO would keep one waiting for good; only os.DevNull is let through. The
// errors are package os's.
func OpenFile(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !readable(path, info) { // opening a device may do something
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !readable(path, info) {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func readable(path string, info fs.FileInfo) bool {
	return info.Mode().IsRegular() || path == os.DevNull
}

// ReadFile is OpenFile and the content. A file of more than limit bytes is
// refused.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d bytes", limit)}
	}
	return data, err
}

// WriteFile writes a file where the user asked for it, such as a receipt or a
// bundle. A regular file, or a new one, is replaced durably: a temporary file
// beside it, synced, renamed, and the folder synced; what a killed writer of
// the same file left goes away. Links are followed and stay. Into anything else,
// such as a device or a FIFO, it is written as it stands; a FIFO that nobody
// reads is an error.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	target, inPlace, err := writeTarget(path)
	if err != nil {
		return ioError("write", path, err)
	}
	if inPlace {
		return ioError("write", path, writeInto(target, data))
	}
	sweepBeside(target)
	st, err := stage(lockFile, target, data, true)
	if err != nil {
		return err
	}
	if err := os.Chmod(st.temp, mode.Perm()); err != nil {
		return errors.Join(ioError("write", target, err), discard(st.temp))
	}
	if err := st.commit(); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(target))
}

// writeTarget follows links to the file that is to be replaced, which need not
// exist, or says that path is to be written into as it is.
func writeTarget(path string) (target string, inPlace bool, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return path, true, nil
	}
	const most = 40 // as Linux follows, path_resolution(7)
	target = path
	for range most {
		dir, base := filepath.Split(target)
		if dir, err = filepath.EvalSymlinks(cmp.Or(dir, ".")); err != nil {
			return "", false, err
		}
		target = filepath.Join(dir, base)
		if strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/dev/fd/") {
			return path, true, nil // an open file of a process, such as /dev/stdout
		}
		to, err := os.Readlink(target)
		if err != nil {
			return target, false, nil // no link; writing says the rest
		}
		if target = to; !filepath.IsAbs(to) {
			target = dir + string(filepath.Separator) + to
		}
	}
	return "", false, syscall.ELOOP
}

func writeInto(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return &fs.PathError{Op: "open", Path: path, Err: errNobodyReads}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// lockFile stands in the names of WriteFile's temporary files, which no lock
// guards.
const lockFile = "file"

// abandonedAfter is when a temporary file that no lock guards cannot be in use
// any more: writing one takes seconds at most.
const abandonedAfter = 10 * time.Minute

// sweepBeside removes temporary files that killed writers of path left. It
// stops nothing: they only take up space.
func sweepBeside(path string) {
	dir, base := filepath.Split(path)
	entries, _ := os.ReadDir(filepath.Clean(dir + "."))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix+lockFile+"~"+base+"~") {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
