//go:build unix

package mux

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
	// ErrNoServer: nobody serves there, or nobody that answers.
	ErrNoServer = errors.New("no shared connection")
	// ErrBusy: another process serves there already.
	ErrBusy = errors.New("the connection is shared by another process already")
	// ErrUnsafe: the folder or the other process is not the user's own.
	ErrUnsafe = errors.New("not private to this user")
)

// Limits of what happens on the socket before the first command. The other end
// is on this machine: unless it is stopped or stuck it says its first word at
// once; it may need longer to find out whether the VM is still there.
const (
	helloWait = 300 * time.Millisecond
	dialWait  = 2 * time.Second
)

// Listen makes the socket, and its folder with mode 0700 if it is missing. A
// socket that nobody serves any more is replaced. The error is [ErrBusy] if
// somebody does, or wraps [ErrUnsafe].
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := checkFolder(path); err != nil {
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

// listener removes its socket when it is closed, but not another process's
// that has taken the place meanwhile.
type listener struct {
	*net.UnixListener
	path string
	made os.FileInfo
	once sync.Once
}

// Close ends listening.
func (l *listener) Close() error {
	l.once.Do(func() {
		if l.inPlace() {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// inPlace reports whether the socket can still be found. The system does not
// give its inode to another one while it is open.
func (l *listener) inPlace() bool {
	now, err := os.Lstat(l.path)
	return err == nil && os.SameFile(now, l.made)
}

func listen(path string) (net.Listener, error) {
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	u.SetUnlinkOnClose(false)
	l := &listener{UnixListener: u, path: path}
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

// NotYet turns everybody away from l, at once, until ready is called: the
// place is taken before there is a connection to share, so that of several
// processes only one makes it.
func NotYet(l net.Listener) (ready func()) {
	u, ok := l.(*listener)
	if !ok {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := u.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return func() {
		_ = u.SetDeadline(time.Now())
		<-ended
		_ = u.SetDeadline(time.Time{})
	}
}

// checkFolder refuses a folder that somebody else could have put a socket in.
func checkFolder(path string) error {
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

// checkPeer refuses a process of another user.
func checkPeer(c net.Conn) error {
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
