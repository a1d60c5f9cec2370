package sshconn

import "golang.org/x/sys/unix"

func setTermios(fd int, tio *unix.Termios) error { return unix.IoctlSetTermios(fd, unix.TCSETS, tio) }
