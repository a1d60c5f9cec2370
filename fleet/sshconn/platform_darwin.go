package sshconn

import (
	"errors"

	"golang.org/x/sys/unix"
)

// waitReadable blocks until one of the descriptors can be read or has ended.
// It uses select: macOS's poll does not work on terminals.
func waitReadable(fd, wake int) error {
	if fd >= unix.FD_SETSIZE || wake >= unix.FD_SETSIZE {
		return errors.New("descriptor too large for select")
	}
	for {
		var set unix.FdSet
		set.Zero()
		set.Set(fd)
		set.Set(wake)
		_, err := unix.Select(max(fd, wake)+1, &set, nil, nil, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

const (
	getTermios   = unix.TIOCGETA
	setFlush     = unix.TIOCSETAF // set the modes and drop what was typed
	disabledChar = 0xff           // _POSIX_VDISABLE
)

// inputFlags are the ones that not every system has: IUTF8 (RFC 8160).
func inputFlags() []modeFlag { return []modeFlag{{42, unix.IUTF8}} }
