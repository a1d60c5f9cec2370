package sshconn

import "golang.org/x/sys/unix"

const (
	getTermios   = unix.TIOCGETA
	setFlush     = unix.TIOCSETAF // set the modes and drop what was typed
	disabledChar = 0xff           // _POSIX_VDISABLE
)

// inputFlags are the ones that not every system has: IUTF8 (RFC 8160).
func inputFlags() []modeFlag { return []modeFlag{{42, unix.IUTF8}} }
