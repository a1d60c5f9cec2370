package keystore

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// maxLog is how long a log grows before it is begun anew; the one before is kept.
const maxLog = 1 << 20

// Log is a file of lines that somebody may want to read later: <name>.log, and
// <name>.log.1 before it. It is written at once and not synced.
type Log struct {
	s    *Store
	name string

	mu   sync.Mutex
	file *os.File
	size int64
}

// Log returns the log of that name, for one process to write to.
func (s *Store) Log(name string) *Log { return &Log{s: s, name: name} }

func (l *Log) path() string { return l.s.path(l.name + ".log") }

// Write appends. It is safe for concurrent use.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size+int64(len(line)) > maxLog {
		_ = l.file.Close()
		l.file = nil
		if err := os.Rename(l.path(), l.path()+".1"); err != nil {
			return 0, ioError("write", l.path(), err)
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

func (l *Log) open() error {
	if err := l.s.makeFolders(l.s.dir); err != nil {
		return err
	}
	if info, err := os.Lstat(l.path()); err == nil && !info.Mode().IsRegular() {
		return specialFile("write", l.path(), info)
	}
	f, err := os.OpenFile(l.path(), os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return ioError("write", l.path(), err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return ioError("write", l.path(), err)
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Read returns what is kept, oldest first; nothing is kept if there is no log.
func (l *Log) Read() ([]byte, error) {
	var all []byte
	for _, path := range []string{l.path() + ".1", l.path()} {
		data, err := ReadFile(path, 2*maxLog)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, ioError("read", path, err)
		}
		all = append(all, data...)
	}
	return all, nil
}
