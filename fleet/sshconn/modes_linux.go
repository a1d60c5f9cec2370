package sshconn

import "golang.org/x/sys/unix"

const (
	getTermios   = unix.TCGETS
	setFlush     = unix.TCSETSF // set the modes and drop what was typed
	disabledChar = 0            // _POSIX_VDISABLE
)

// inputFlags are the ones that not every system has: IUTF8 (RFC 8160), IUCLC.
func inputFlags() []modeFlag { return []modeFlag{{42, unix.IUTF8}, {37, unix.IUCLC}} }
