package box

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

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

// typeWords is the type of a file as stat's %F writes it.
func typeWords(fi fs.FileInfo) string {
	letter := typeLetter(fi.Mode())
	if letter == "f" && fi.Size() == 0 {
		return "regular empty file"
	}
	return map[string]string{"f": "regular file", "d": "directory", "l": "symbolic link", "p": "fifo", "s": "socket",
		"c": "character special file", "b": "block special file"}[letter]
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

// unescape reads the backslash sequences of find -printf and stat --printf.
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

// seconds writes a time as 1700000000.123456789 with the given digits.
func seconds(t time.Time, digits int) string {
	frac := fmt.Sprintf("%09d0", t.Nanosecond())
	return fmt.Sprintf("%d.%s", t.Unix(), frac[:digits])
}

// timePart writes one part of a time, as find's %Tk and date's %k do.
func timePart(t time.Time, k byte) (string, bool) {
	layout := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02",
		'T': "15:04:05", 'y': "06", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'Z': "MST", 'z': "-0700",
		'e': "_2", 'j': "002", 'I': "03", 'p': "PM", 'R': "15:04", 'D': "01/02/06", 'h': "Jan",
		'c': "Mon Jan _2 15:04:05 2006", '+': "2006-01-02+15:04:05.000000000"}[k]
	switch {
	case layout != "":
		return t.Format(layout), true
	case k == 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case k == 'N':
		return fmt.Sprintf("%09d", t.Nanosecond()), true
	case k == '@':
		return seconds(t, 10), true
	}
	return "", false
}

// human writes a size as ls -h does.
func human(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < 4 {
		v /= 1024
		unit++
	}
	if v < 10 {
		return fmt.Sprintf("%.1f%c", v, "KMGTP"[unit])
	}
	return fmt.Sprintf("%.0f%c", v, "KMGTP"[unit])
}
