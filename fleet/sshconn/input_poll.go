//go:build unix && !darwin

package sshconn

import (
	"errors"

	"golang.org/x/sys/unix"
)

// waitReadable blocks until one of the descriptors can be read or has ended.
func waitReadable(fd, wake int) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
