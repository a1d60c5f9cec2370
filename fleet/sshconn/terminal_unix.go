//go:build unix

package sshconn

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func (t *terminal) size() windowSize {
	w, err := unix.IoctlGetWinsize(t.sizeFD, unix.TIOCGWINSZ)
	if err != nil {
		return windowSize{}
	}
	return windowSize{Columns: uint32(w.Col), Rows: uint32(w.Row), Width: uint32(w.Xpixel), Height: uint32(w.Ypixel)}
}

// prepareOutput is for consoles that need to be told to obey escape codes.
func (t *terminal) prepareOutput() (undo func()) { return func() {} }

// watchSignals reports changes of the window, continuation after a stop, and
// signals that end the program.
func watchSignals() (c chan os.Signal, stop func()) {
	c = make(chan os.Signal, 8)
	signal.Notify(c, unix.SIGWINCH, unix.SIGCONT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	return c, func() { signal.Stop(c) }
}

func isResize(s os.Signal) bool   { return s == syscall.SIGWINCH }
func isContinue(s os.Signal) bool { return s == syscall.SIGCONT }

// stopWait is how long the signal that stops this process may take to arrive.
const stopWait = 500 * time.Millisecond

// suspendSelf stops this process as Ctrl-Z in a shell would. It returns when
// the process is continued, or soon if it cannot be stopped because no shell
// is there to continue it.
func suspendSelf() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, unix.SIGCONT)
	defer signal.Stop(continued)
	_ = unix.Kill(unix.Getpid(), unix.SIGTSTP)
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-continued:
	case <-timer.C:
	}
}
