package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

func cmdMkdir(c *cmd) int {
	f, names, ok := c.parse("pm:v", "parents=p", "mode:=m")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		return c.failf("missing operand")
	}
	mode := fs.FileMode(0o755)
	if text, given := f.get("m"); given {
		n, err := strconv.ParseUint(text, 8, 12)
		if err != nil {
			return c.failf("invalid mode %q", text)
		}
		mode = goMode(uint32(n))
	}
	status := 0
	for _, name := range names {
		make := c.fs.Mkdir
		if f.on("p") {
			make = c.fs.MkdirAll
		}
		err := make(c.path(name), 0o755)
		if err == nil && f.on("m") {
			err = c.fs.Chmod(c.path(name), mode)
		}
		if err != nil {
			c.failf("cannot create directory '%s': %s", name, reason(err))
			status = 1
		}
	}
	return status
}

func cmdRmdir(c *cmd) int {
	_, names, ok := c.parse("")
	if !ok {
		return 1
	}
	status := 0
	for _, name := range names {
		fi, err := c.fs.Lstat(c.path(name))
		if err == nil && !fi.IsDir() {
			err = errors.New("not a directory")
		}
		if err == nil {
			err = c.fs.Remove(c.path(name))
		}
		if err != nil {
			c.failf("failed to remove '%s': %s", name, reason(err))
			status = 1
		}
	}
	return status
}

func cmdRm(c *cmd) int {
	f, names, ok := c.parse("rRfvdi", "recursive=r", "force=f")
	if !ok {
		return 1
	}
	recursive := f.on("r") || f.on("R")
	status := 0
	for _, name := range names {
		base := path.Base(name)
		if base == "." || base == ".." || path.Clean(c.path(name)) == "/" {
			status = c.failf("refusing to remove '%s'", name)
			continue
		}
		fi, err := c.fs.Lstat(c.path(name))
		if err == nil && fi.IsDir() && !recursive && !f.on("d") {
			err = errors.New("is a directory")
		}
		if err == nil {
			err = c.remove(c.path(name), fi.IsDir() && recursive)
		}
		if err != nil && !(f.on("f") && errors.Is(err, fs.ErrNotExist)) {
			c.failf("cannot remove '%s': %s", name, reason(err))
			status = 1
		}
	}
	return status
}

// remove removes a file, or a folder with all that is in it.
func (c *cmd) remove(full string, recursive bool) error {
	if recursive {
		entries, err := c.fs.ReadDir(full)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			if err := c.remove(path.Join(full, e.Name()), e.IsDir()); err != nil {
				return err
			}
		}
	}
	return c.fs.Remove(full)
}

func cmdTouch(c *cmd) int {
	f, names, ok := c.parse("acmhd:t:r:", "no-create=c", "date:=d", "reference:=r", "no-dereference=h")
	if !ok {
		return 1
	}
	if f.on("t") || f.on("h") {
		return c.failf("options -t and -h: not available in the simulator; use -d")
	}
	when := time.Now()
	if text, given := f.get("d"); given {
		at, err := parseTime(text, when)
		if err != nil {
			return c.failf("%v", err)
		}
		when = at
	}
	if name, given := f.get("r"); given {
		fi, err := c.fs.Stat(c.path(name))
		if err != nil {
			return c.fail(name, err)
		}
		when = fi.ModTime()
	}
	status := 0
	for _, name := range names {
		err := c.fs.Chtimes(c.path(name), when, when)
		if errors.Is(err, fs.ErrNotExist) && !f.on("c") {
			err = c.fs.Append(c.path(name), nil)
			if err == nil {
				err = c.fs.Chtimes(c.path(name), when, when)
			}
		}
		if err != nil && !f.on("c") {
			c.failf("cannot touch '%s': %s", name, reason(err))
			status = 1
		}
	}
	return status
}

func cmdLn(c *cmd) int {
	f, names, ok := c.parse("sfnvT", "symbolic=s", "force=f", "no-dereference=n")
	if !ok {
		return 1
	}
	if len(names) == 0 || len(names) > 2 {
		return c.failf("expected a target and a name")
	}
	target, name := names[0], path.Base(names[0])
	if len(names) == 2 {
		name = names[1]
		if fi, err := c.fs.Stat(c.path(name)); err == nil && fi.IsDir() && !f.on("n") && !f.on("T") {
			name = path.Join(name, path.Base(target))
		}
	}
	if f.on("f") {
		if err := c.fs.Remove(c.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.fail(name, err)
		}
	}
	var err error
	if f.on("s") {
		err = c.fs.Symlink(target, c.path(name))
	} else {
		err = c.fs.Link(c.path(target), c.path(name))
	}
	if err != nil {
		return c.failf("failed to create link '%s': %s", name, reason(err))
	}
	return 0
}

func cmdChmod(c *cmd) int {
	args := c.args
	recursive, quiet := false, false
	for len(args) > 0 && (args[0] == "-R" || args[0] == "-f" || args[0] == "--") {
		recursive = recursive || args[0] == "-R"
		quiet = quiet || args[0] == "-f"
		args = args[1:]
	}
	if len(args) < 2 {
		return c.failf("missing operand")
	}
	status := 0
	for _, name := range args[1:] {
		if err := c.chmod(c.path(name), args[0], recursive); err != nil {
			if !quiet {
				c.failf("cannot change '%s': %s", name, reason(err))
			}
			status = 1
		}
	}
	return status
}

func (c *cmd) chmod(full, mode string, recursive bool) error {
	fi, err := c.fs.Stat(full)
	if err != nil {
		return err
	}
	bits, err := modeOf(mode, fi)
	if err != nil {
		return err
	}
	if err := c.fs.Chmod(full, goMode(bits)); err != nil {
		return err
	}
	if !recursive || !fi.IsDir() {
		return nil
	}
	entries, err := c.fs.ReadDir(full)
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 && err == nil {
			err = c.chmod(path.Join(full, e.Name()), mode, true)
		}
	}
	return err
}

// modeOf reads an octal mode or a symbolic one such as u+x,go-w.
func modeOf(text string, fi fs.FileInfo) (uint32, error) {
	if n, err := strconv.ParseUint(text, 8, 12); err == nil {
		return uint32(n), nil
	}
	bits := unixMode(fi.Mode())
	for part := range strings.SplitSeq(text, ",") {
		at := strings.IndexAny(part, "+-=")
		if at < 0 {
			return 0, fmt.Errorf("invalid mode %q", text)
		}
		who, perms := uint32(0), uint32(0)
		for _, w := range strings.ReplaceAll(part[:at], "a", "ugo") {
			who |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007}[w]
		}
		if who == 0 {
			who = 0o7777
		}
		for _, p := range part[at+1:] {
			bit, found := map[rune]uint32{'r': 0o444, 'w': 0o222, 'x': 0o111, 's': 0o6000, 't': 0o1000, 'X': 0}[p]
			if !found {
				return 0, fmt.Errorf("invalid mode %q", text)
			}
			if p == 'X' && (fi.IsDir() || bits&0o111 != 0) {
				bit = 0o111
			}
			perms |= bit
		}
		switch part[at] {
		case '+':
			bits |= perms & who
		case '-':
			bits &^= perms & who
		default:
			bits = bits&^who | perms&who
		}
	}
	return bits, nil
}

// cmdOwner accepts what changes nothing: everything belongs to root.
func cmdOwner(c *cmd) int {
	_, names, ok := c.parse("Rhf", "recursive=R", "no-dereference=h")
	if !ok {
		return 1
	}
	if len(names) < 2 || strings.Trim(names[0], "rot:0.") != "" {
		return c.failf("owners other than root: not available in the simulator")
	}
	return 0
}

func cmdTruncate(c *cmd) int {
	f, names, ok := c.parse("cs:", "size:=s", "no-create=c")
	if !ok {
		return 1
	}
	text, given := f.get("s")
	size, err := number(text)
	if !given || err != nil || size < 0 || strings.HasPrefix(text, "+") {
		return c.failf("need a plain size, such as -s 10M")
	}
	for _, name := range names {
		if !f.on("c") {
			if err := c.fs.Append(c.path(name), nil); err != nil {
				return c.fail(name, err)
			}
		}
		if err := c.fs.Truncate(c.path(name), size); err != nil {
			return c.fail(name, err)
		}
	}
	return 0
}

func cmdMktemp(c *cmd) int {
	f, names, ok := c.parse("dp:tuq", "directory=d", "tmpdir:=p", "tmpdir=t")
	if !ok {
		return 1
	}
	template, dir := "tmp.XXXXXXXXXX", "/tmp"
	if len(names) > 0 {
		template = names[0]
		if !f.on("p") && !f.on("t") {
			dir = c.dir
		}
	}
	if p, given := f.get("p"); given {
		dir = c.path(p)
	}
	stem := strings.TrimRight(template, "X")
	if len(template)-len(stem) < 3 {
		return c.failf("too few X's in template '%s'", template)
	}
	for range 100 {
		name := abs(dir, stem+randomName(len(template)-len(stem)))
		var err error
		if f.on("d") {
			err = c.fs.Mkdir(name, 0o700)
		} else {
			var file File
			file, err = c.fs.OpenFile(c.ctx, name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err == nil {
				err = file.Close()
			}
		}
		if err == nil {
			fmt.Fprintln(c.out, name)
			return 0
		}
		if !errors.Is(err, fs.ErrExist) {
			return c.failf("failed to create file via template '%s': %s", template, reason(err))
		}
	}
	return c.failf("failed to create file via template '%s'", template)
}
