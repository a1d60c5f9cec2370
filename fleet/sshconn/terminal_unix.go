//go:build unix

package sshconn

import (
	"io"
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

// watchSignals reports changes of the window and continuation after a stop. The
// signals that end work are the program's own, by ctx: two who answer one signal race.
func watchSignals() (c chan os.Signal, stop func()) {
	c = make(chan os.Signal, 8)
	signal.Notify(c, unix.SIGWINCH, unix.SIGCONT)
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

// modeFlag ties an opcode to a bit in one of the termios words.
type modeFlag struct {
	op  byte
	bit uint64
}

// modes reads the terminal's modes, encoded for a pty-req. On failure the
// list is empty and the server uses its defaults.
func (t *terminal) modes() []byte {
	tio, err := unix.IoctlGetTermios(t.inFD, getTermios)
	if err != nil {
		return []byte{modeEnd}
	}
	values := map[byte]uint32{}
	chars := map[byte]int{
		1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL,
		7: unix.VEOL2, 8: unix.VSTART, 9: unix.VSTOP, 10: unix.VSUSP, 12: unix.VREPRINT,
		13: unix.VWERASE, 14: unix.VLNEXT, 18: unix.VDISCARD,
	}
	for op, i := range chars {
		values[op] = controlChar(tio.Cc[i])
	}
	flags := func(word uint64, list []modeFlag) {
		for _, f := range list {
			values[f.op] = 0
			if word&f.bit == f.bit {
				values[f.op] = 1
			}
		}
	}
	flags(uint64(tio.Iflag), append(inputFlags(), []modeFlag{
		{30, unix.IGNPAR}, {31, unix.PARMRK}, {32, unix.INPCK}, {33, unix.ISTRIP}, {34, unix.INLCR},
		{35, unix.IGNCR}, {36, unix.ICRNL}, {38, unix.IXON}, {39, unix.IXANY}, {40, unix.IXOFF}, {41, unix.IMAXBEL},
	}...))
	flags(uint64(tio.Lflag), []modeFlag{
		{50, unix.ISIG}, {51, unix.ICANON}, {53, unix.ECHO}, {54, unix.ECHOE}, {55, unix.ECHOK},
		{56, unix.ECHONL}, {57, unix.NOFLSH}, {58, unix.TOSTOP}, {59, unix.IEXTEN},
		{60, unix.ECHOCTL}, {61, unix.ECHOKE}, {62, unix.PENDIN},
	})
	flags(uint64(tio.Oflag), []modeFlag{
		{70, unix.OPOST}, {72, unix.ONLCR}, {73, unix.OCRNL}, {74, unix.ONOCR}, {75, unix.ONLRET},
	})
	flags(uint64(tio.Cflag), []modeFlag{{90, unix.CS7}, {91, unix.CS8}, {92, unix.PARENB}, {93, unix.PARODD}})
	return encodeModes(values)
}

// controlChar maps the disabled character to 255, as the RFC wants it.
func controlChar(c byte) uint32 {
	if c == disabledChar {
		return 255
	}
	return uint32(c)
}

// DiscardTyped drops what was typed on a terminal and not read yet.
func DiscardTyped(stdin io.Reader) {
	f, fd := asTerminal(stdin)
	if f == nil {
		return
	}
	if tio, err := unix.IoctlGetTermios(fd, getTermios); err == nil {
		_ = unix.IoctlSetTermios(fd, setFlush, tio)
	}
}
