//go:build unix

package mux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
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

// dialWait bounds everything that happens on the socket before the first
// command: the other end is on this machine and either answers or is stuck.
const dialWait = 2 * time.Second

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
	l, err := listen(path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialWait)
	defer cancel()
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = c.Close()
		return nil, ErrBusy
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return listen(path)
}

func listen(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
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
