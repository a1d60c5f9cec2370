//go:build unix

package private

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of this package, found with errors.Is.
var (
	// ErrBusy: another process serves there already.
	ErrBusy = errors.New("another process serves there already")
	// ErrUnsafe: the folder or the other process is not the user's own.
	ErrUnsafe = errors.New("not private to this user")
)

// dialWait bounds the question whether somebody serves.
const dialWait = 2 * time.Second

// Listen makes the socket, and its folder with mode 0700 if it is missing. A
// socket that nobody serves any more is replaced. The error is [ErrBusy] if
// somebody does, or wraps [ErrUnsafe].
func Listen(path string) (*Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := CheckFolder(path); err != nil {
		return nil, err
	}
	// Of several processes that find a dead socket only one may replace it.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close() // unlocks
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	if Served(path) {
		return nil, ErrBusy
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return listen(path)
}

// Listener removes its socket when it is closed, but not another process's
// that has taken the place meanwhile.
type Listener struct {
	*net.UnixListener
	path string
	made os.FileInfo
	once sync.Once
}

// Close ends listening.
func (l *Listener) Close() error {
	l.once.Do(func() {
		if l.InPlace() {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// InPlace reports whether the socket can still be found. The system does not
// give its inode to another one while it is open.
func (l *Listener) InPlace() bool {
	now, err := os.Lstat(l.path)
	return err == nil && os.SameFile(now, l.made)
}

func listen(path string) (*Listener, error) {
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	u.SetUnlinkOnClose(false)
	l := &Listener{UnixListener: u, path: path}
	if err = os.Chmod(path, 0o600); err == nil {
		l.made, err = os.Lstat(path)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Served reports whether a process listens at path, be it ready or not.
func Served(path string) bool {
	c, err := net.DialTimeout("unix", path, dialWait)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// CheckFolder refuses a folder that somebody else could have put a socket in.
func CheckFolder(path string) error {
	dir := filepath.Dir(path)
	i, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := i.Sys().(*syscall.Stat_t)
	if !i.IsDir() || i.Mode().Perm()&0o077 != 0 || !ok || int(st.Uid) != unix.Geteuid() {
		return fmt.Errorf("folder %s: %w", dir, ErrUnsafe)
	}
	return nil
}

// CheckPeer refuses a process of another user.
func CheckPeer(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ErrUnsafe
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	uid := -1
	var peerErr error
	if err := raw.Control(func(fd uintptr) { uid, peerErr = peerUID(int(fd)) }); err != nil {
		return err
	}
	if errors.Is(peerErr, errors.ErrUnsupported) {
		return nil // the folder's mode must do
	}
	if peerErr != nil {
		return peerErr
	}
	if uid != unix.Geteuid() {
		return ErrUnsafe
	}
	return nil
}
