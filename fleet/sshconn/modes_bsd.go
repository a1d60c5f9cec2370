//go:build unix && !linux && !darwin

package sshconn

import "golang.org/x/sys/unix"

const (
	getTermios   = unix.TIOCGETA
	setFlush     = unix.TIOCSETAF // set the modes and drop what was typed
	disabledChar = 0xff           // _POSIX_VDISABLE
)

func inputFlags() []modeFlag { return nil }
