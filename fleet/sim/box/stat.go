package box

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// cmdStat prints details of files in the format of -c.
func cmdStat(c *cmd) int {
	f, names, ok := c.parse("c:L")
	if !ok {
		return 1
	}
	format, given := f.get("c")
	if !given || len(names) == 0 {
		return c.failf("without -c FORMAT and names: not available in the simulator")
	}
	status := 0
	for _, name := range names {
		fi, err := c.fs.look(c.path(name), f.on("L"))
		if err != nil {
			status = c.failf("cannot statx '%s': %s", name, reason(err))
			continue
		}
		text, err := statFormat(format, name, fi)
		if err != nil {
			return c.failf("%v", err)
		}
		fmt.Fprintln(c.out, text)
	}
	return status
}

func statFormat(format, name string, fi fs.FileInfo) (string, error) {
	sys, mtime := sysOf(fi), fi.ModTime().UTC()
	values := map[byte]any{'%': "%", 'n': name, 's': fi.Size(), 'b': sys.blocks, 'i': sys.ino, 'd': sys.dev, 'h': sys.nlink,
		'f': fmt.Sprintf("%x", rawMode(fi.Mode())), 'a': fmt.Sprintf("%o", unixMode(fi.Mode())),
		'Y': mtime.Unix(), 'y': mtime.Format("2006-01-02 15:04:05.000000000 -0700")}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		value, found := values[format[i]]
		if !found {
			return "", fmt.Errorf("format %%%c: not available in the simulator", format[i])
		}
		fmt.Fprint(&b, value)
	}
	return b.String(), nil
}

// typeLetter is the type of a file as find's %y writes it.
func typeLetter(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "f"
	case mode.IsDir():
		return "d"
	case mode&fs.ModeSymlink != 0:
		return "l"
	case mode&fs.ModeNamedPipe != 0:
		return "p"
	case mode&fs.ModeSocket != 0:
		return "s"
	case mode&fs.ModeCharDevice != 0:
		return "c"
	}
	return "b"
}

// unixMode is the permission part of a mode, with setuid, setgid and sticky.
func unixMode(mode fs.FileMode) uint32 {
	m := uint32(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		m |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		m |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		m |= 0o1000
	}
	return m
}

// goMode is the opposite of unixMode.
func goMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	if m&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// rawMode is st_mode as stat's %f writes it.
func rawMode(mode fs.FileMode) uint32 {
	kind := map[string]uint32{"f": 0o100000, "d": 0o40000, "l": 0o120000, "p": 0o10000, "s": 0o140000, "c": 0o20000, "b": 0o60000}
	return kind[typeLetter(mode)] | unixMode(mode)
}

// modeText is the form of ls: drwxr-xr-t.
func modeText(mode fs.FileMode) string {
	letters := []byte("?rwxrwxrwx")
	letters[0] = strings.Replace(typeLetter(mode), "f", "-", 1)[0]
	for i := range 9 {
		if mode&(1<<(8-i)) == 0 {
			letters[i+1] = '-'
		}
	}
	special := func(at int, on bool, with, without byte) {
		if !on {
			return
		}
		if letters[at] == 'x' {
			letters[at] = with
		} else {
			letters[at] = without
		}
	}
	special(3, mode&fs.ModeSetuid != 0, 's', 'S')
	special(6, mode&fs.ModeSetgid != 0, 's', 'S')
	special(9, mode&fs.ModeSticky != 0, 't', 'T')
	return string(letters)
}

// unescape reads the backslash sequences of find -printf and tr.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if at := strings.IndexByte("abfnrtv\\", text[i]); at >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\"[at])
			continue
		}
		digits := 0
		for digits < 3 && i+digits < len(text) && text[i+digits] >= '0' && text[i+digits] <= '7' {
			digits++
		}
		if digits == 0 {
			b.WriteString(text[i-1 : i+1])
			continue
		}
		n, _ := strconv.ParseUint(text[i:i+digits], 8, 16) // octal digits only
		b.WriteByte(byte(n))
		i += digits - 1
	}
	return b.String()
}
