package box

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

func cmdStat(c *cmd) int {
	f, names, ok := c.parse("c:Lft", "format:=c", "printf:=printf", "dereference=L")
	if !ok {
		return 1
	}
	if f.on("t") {
		return c.failf("option -t: not available in the simulator")
	}
	if len(names) == 0 {
		return c.failf("missing operand")
	}
	format, given := f.get("c")
	end := "\n"
	if text, printf := f.get("printf"); printf {
		format, given, end = unescape(text), true, ""
	}
	status := 0
	for _, name := range names {
		text, err := "", error(nil)
		switch {
		case f.on("f"):
			text, err = c.statFS(name, format, given)
		default:
			text, err = c.statFile(name, format, given, f.on("L"))
		}
		if err != nil {
			c.failf("cannot stat '%s': %s", name, reason(err))
			status = 1
			continue
		}
		fmt.Fprint(c.out, text+end)
	}
	return status
}

func (c *cmd) statFile(name, format string, given, follow bool) (string, error) {
	fi, err := c.fs.stat(c.path(name), follow)
	if err != nil {
		return "", err
	}
	if !given {
		format = "  File: %N\n  Size: %s\tBlocks: %b\tIO Block: 4096 %F\nDevice: %d\tInode: %i\tLinks: %h\n" +
			"Access: (0%a/%A)  Uid: ( 0/ root)   Gid: ( 0/ root)\nModify: %y"
	}
	return expandFormat(format, func(letter byte) (string, bool) { return c.statPart(name, fi, letter) })
}

// statPart is one letter of stat's format. Access and change times are not
// kept by the simulator; they are the modification time.
func (c *cmd) statPart(name string, fi fs.FileInfo, letter byte) (string, bool) {
	sys := sysOf(fi)
	mtime := fi.ModTime().UTC()
	switch letter {
	case 'n':
		return name, true
	case 'N':
		text := "'" + name + "'"
		if target, err := c.fs.Readlink(c.path(name)); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
			text += " -> '" + target + "'"
		}
		return text, true
	case 's':
		return fmt.Sprint(fi.Size()), true
	case 'b':
		return fmt.Sprint(sys.blocks), true
	case 'B':
		return "512", true
	case 'o':
		return "4096", true
	case 'f':
		return fmt.Sprintf("%x", rawMode(fi.Mode())), true
	case 'a':
		return fmt.Sprintf("%o", unixMode(fi.Mode())), true
	case 'A':
		return modeText(fi.Mode()), true
	case 'F':
		return typeWords(fi), true
	case 'i':
		return fmt.Sprint(sys.ino), true
	case 'd':
		return fmt.Sprint(sys.dev), true
	case 'D':
		return fmt.Sprintf("%x", sys.dev), true
	case 'h':
		return fmt.Sprint(sys.nlink), true
	case 'u', 'g', 't', 'T':
		return "0", true
	case 'U', 'G':
		return "root", true
	case 'X', 'Y', 'Z':
		return fmt.Sprint(mtime.Unix()), true
	case 'x', 'y', 'z':
		return mtime.Format("2006-01-02 15:04:05.000000000 -0700"), true
	case 'W':
		return "0", true
	case 'w':
		return "-", true
	case 'm':
		return "/", true
	}
	return "", false
}

// expandFormat replaces %letters; %.9Y asks for digits of a time in seconds.
func expandFormat(format string, part func(byte) (string, bool)) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		if format[i] == '%' {
			b.WriteByte('%')
			continue
		}
		digits := 0
		if format[i] == '.' {
			digits = 9
			for i++; i < len(format) && format[i] >= '0' && format[i] <= '9'; i++ {
				digits = int(format[i] - '0')
			}
			if i == len(format) {
				return "", fmt.Errorf("format %q: not available in the simulator", format)
			}
		}
		text, ok := part(format[i])
		if digits > 0 && strings.IndexByte("XYZ", format[i]) >= 0 {
			long, _ := part('y') // same time, with its nanoseconds
			at, err := time.Parse("2006-01-02 15:04:05.000000000 -0700", long)
			text, ok = seconds(at, min(digits, 9)), ok && err == nil
		}
		if !ok {
			return "", fmt.Errorf("format %%%c: not available in the simulator", format[i])
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func (c *cmd) statFS(name, format string, given bool) (string, error) {
	if _, err := c.fs.Stat(c.path(name)); err != nil {
		return "", err
	}
	total, free := c.fs.Space()
	if !given {
		format = "  File: \"%n\"\nBlock size: %S\nBlocks: Total: %b Free: %f Available: %a"
	}
	return expandFormat(format, func(letter byte) (string, bool) {
		values := map[byte]string{'n': name, 'S': "4096", 's': "4096", 'b': fmt.Sprint(total / 4096), 'T': "ext2/ext3",
			'f': fmt.Sprint(free / 4096), 'a': fmt.Sprint(free / 4096), 'c': "1048576", 'd': "524288", 'l': "255"}
		text, ok := values[letter]
		return text, ok
	})
}

func cmdReadlink(c *cmd) int {
	f, names, ok := c.parse("femnz", "canonicalize=f", "no-newline=n", "zero=z")
	if !ok {
		return 1
	}
	return c.printPaths(f, names, func(name string) (string, error) {
		if f.on("f") || f.on("e") || f.on("m") {
			return c.real(name, f.on("e"))
		}
		return c.fs.Readlink(c.path(name))
	}, f.on("f") || f.on("e") || f.on("m"))
}

func cmdRealpath(c *cmd) int {
	f, names, ok := c.parse("emszq", "zero=z", "no-symlinks=s", "canonicalize-existing=e", "canonicalize-missing=m")
	if !ok {
		return 1
	}
	return c.printPaths(f, names, func(name string) (string, error) {
		if f.on("s") {
			return path.Clean(c.path(name)), nil
		}
		return c.real(name, f.on("e"))
	}, true)
}

func (c *cmd) real(name string, mustExist bool) (string, error) {
	full, err := c.fs.RealPath(c.path(name))
	if err == nil && mustExist {
		_, err = c.fs.Stat(full)
	}
	return full, err
}

// printPaths prints what fn makes of each name.
func (c *cmd) printPaths(f flags, names []string, fn func(string) (string, error), loud bool) int {
	if len(names) == 0 {
		return c.failf("missing operand")
	}
	status := 0
	end := "\n"
	if f.on("z") {
		end = "\x00"
	} else if f.on("n") {
		end = ""
	}
	for _, name := range names {
		text, err := fn(name)
		if err != nil {
			if loud {
				c.fail(name, err)
			}
			status = 1
			continue
		}
		fmt.Fprint(c.out, text+end)
	}
	return status
}

func cmdPwd(c *cmd) int {
	f, _, ok := c.parse("LP", "logical=L", "physical=P")
	if !ok {
		return 1
	}
	dir := c.dir
	if f.on("P") {
		real, err := c.fs.RealPath(dir)
		if err != nil {
			return c.fail(dir, err)
		}
		dir = real
	}
	fmt.Fprintln(c.out, dir)
	return 0
}

func cmdBasename(c *cmd) int {
	f, names, ok := c.parse("as:z", "multiple=a", "suffix:=s", "zero=z")
	if !ok || len(names) == 0 {
		return 1
	}
	suffix, _ := f.get("s")
	if !f.on("a") && suffix == "" && len(names) > 1 {
		suffix, names = names[1], names[:1]
	}
	return c.printPaths(f, names, func(name string) (string, error) {
		base := path.Base(name)
		if base != suffix {
			base = strings.TrimSuffix(base, suffix)
		}
		return base, nil
	}, true)
}

func cmdDirname(c *cmd) int {
	f, names, ok := c.parse("z", "zero=z")
	if !ok {
		return 1
	}
	return c.printPaths(f, names, func(name string) (string, error) { return path.Dir(name), nil }, true)
}
