//go:build unix

package sshconn

import (
	"io"

	"golang.org/x/sys/unix"
)

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
