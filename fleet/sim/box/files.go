package box

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// each calls fn for every name, and reports its failures as WHAT 'NAME': REASON.
func (c *cmd) each(names []string, what string, fn func(full, name string) error) int {
	if len(names) == 0 {
		return c.failf("missing operand")
	}
	status := 0
	for _, name := range names {
		if err := fn(c.path(name), name); err != nil {
			status = c.failf("%s '%s': %s", what, name, reason(err))
		}
	}
	return status
}

func cmdMkdir(c *cmd) int {
	f, names, ok := c.parse("p")
	if !ok {
		return 1
	}
	return c.each(names, "cannot create directory", func(full, _ string) error {
		if f.on("p") {
			return c.fs.MkdirAll(full, 0o755)
		}
		return c.fs.mkdir(full, 0o755)
	})
}

func cmdRm(c *cmd) int {
	f, names, ok := c.parse("rf")
	if !ok {
		return 1
	}
	if len(names) == 0 && f.on("f") {
		return 0
	}
	return c.each(names, "cannot remove", func(full, name string) error {
		if base := path.Base(name); base == "." || base == ".." || path.Clean(full) == "/" {
			return errors.New("refusing to remove it")
		}
		fi, err := c.fs.lstat(full)
		if err == nil && fi.IsDir() && !f.on("r") {
			return syscall.EISDIR
		}
		if err == nil {
			err = c.remove(full, fi.IsDir())
		}
		if f.on("f") && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// remove removes a file, or a folder with all that is in it.
func (c *cmd) remove(full string, isDir bool) error {
	if isDir {
		entries, err := c.fs.readDir(full)
		for _, e := range entries {
			if err == nil {
				err = c.ctx.Err()
			}
			if err == nil {
				err = c.remove(path.Join(full, e.Name()), e.IsDir())
			}
		}
		if err != nil {
			return err
		}
	}
	return c.fs.remove(full)
}

func cmdRmdir(c *cmd) int {
	_, names, ok := c.parse("")
	if !ok {
		return 1
	}
	return c.each(names, "failed to remove", func(full, _ string) error {
		if fi, err := c.fs.lstat(full); err == nil && !fi.IsDir() {
			return syscall.ENOTDIR
		}
		return c.fs.remove(full)
	})
}

// cmdPwd says where the shell is; plain pwd is built into the interpreter.
func cmdPwd(c *cmd) int {
	f, _, ok := c.parse("LP")
	if !ok {
		return 1
	}
	dir := c.dir
	if f.on("P") {
		var err error
		if dir, err = c.fs.realPath(dir); err != nil {
			return c.fail(c.dir, err)
		}
	}
	fmt.Fprintln(c.out, dir)
	return 0
}

func cmdTouch(c *cmd) int {
	f, names, ok := c.parse("d:")
	if !ok {
		return 1
	}
	when := time.Now()
	if text, given := f.get("d"); given {
		var err error
		if when, err = parseTime(text); err != nil {
			return c.failf("%v", err)
		}
	}
	return c.each(names, "cannot touch", func(full, _ string) error {
		if _, err := c.fs.stat(full); errors.Is(err, fs.ErrNotExist) {
			if err := c.fs.Append(full, nil); err != nil {
				return err
			}
		}
		return c.fs.Chtimes(full, when, when)
	})
}

// parseTime reads the forms of a time that scripts write: seconds since 1970 or
// a date, with a fraction or without.
func parseTime(text string) (time.Time, error) {
	if secs, found := strings.CutPrefix(text, "@"); found {
		whole, frac, _ := strings.Cut(secs, ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		nanos, fracErr := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		if err == nil && fracErr == nil {
			return time.Unix(n, nanos), nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05"} { // a fraction may follow
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("date '%s': not available in the simulator", text)
}

// cmdLn makes links, with -s symbolic ones.
func cmdLn(c *cmd) int {
	f, names, ok := c.parse("sf")
	if !ok {
		return 1
	}
	if len(names) == 0 || len(names) > 2 {
		return c.failf("need a target and a name")
	}
	target, name := names[0], names[len(names)-1]
	if len(names) == 1 {
		name = path.Base(target)
	}
	if fi, err := c.fs.stat(c.path(name)); err == nil && fi.IsDir() {
		name = path.Join(name, path.Base(target))
	}
	full := c.path(name)
	if !f.on("s") {
		if _, err := c.fs.lstat(c.path(target)); err != nil { // before anything is removed
			return c.failf("failed to access '%s': %s", target, reason(err))
		}
	}
	if f.on("f") {
		if err := c.fs.remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.failf("cannot remove '%s': %s", name, reason(err))
		}
	}
	err := error(nil)
	if f.on("s") {
		err = c.fs.Symlink(target, full)
	} else {
		err = c.fs.link(c.path(target), full)
	}
	if err != nil {
		return c.failf("failed to create link '%s': %s", name, reason(err))
	}
	return 0
}

// cmdChmod knows octal modes, and +x and the like for everybody.
func cmdChmod(c *cmd) int {
	args := c.args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) < 2 {
		return c.failf("missing operand")
	}
	if strings.HasPrefix(args[0], "-") {
		return c.failf("option %s: not available in the simulator", args[0])
	}
	return c.each(args[1:], "cannot change", func(full, _ string) error {
		fi, err := c.fs.stat(full)
		if err != nil {
			return err
		}
		bits, err := modeOf(args[0], unixMode(fi.Mode()))
		if err != nil {
			return err
		}
		return c.fs.Chmod(full, goMode(bits))
	})
}

func modeOf(text string, bits uint32) (uint32, error) {
	if n, err := strconv.ParseUint(text, 8, 12); err == nil {
		return uint32(n), nil
	}
	perms := uint32(0)
	for _, p := range strings.TrimLeft(text, "+") {
		bit, found := map[rune]uint32{'r': 0o444, 'w': 0o222, 'x': 0o111}[p]
		if !found {
			return 0, fmt.Errorf("mode %q: not available in the simulator", text)
		}
		perms |= bit
	}
	return bits | perms, nil
}

func cmdMv(c *cmd) int {
	_, names, ok := c.parse("f")
	if !ok {
		return 1
	}
	if len(names) < 2 {
		return c.failf("need a source and a target")
	}
	sources, last := names[:len(names)-1], names[len(names)-1]
	fi, err := c.fs.stat(c.path(last))
	into := err == nil && fi.IsDir()
	if !into && len(sources) > 1 {
		return c.failf("target '%s' is not a directory", last)
	}
	status := 0
	for _, name := range sources {
		to := c.path(last)
		if into {
			to = path.Join(to, path.Base(name))
		}
		if err := c.fs.rename(c.path(name), to); err != nil {
			status = c.failf("cannot move '%s' to '%s': %s", name, last, reason(err))
		}
	}
	return status
}

// cmdReadlink prints the targets of links.
func cmdReadlink(c *cmd) int {
	_, names, ok := c.parse("")
	if !ok || len(names) == 0 {
		return c.failf("missing operand")
	}
	status := 0
	for _, name := range names {
		target, err := c.fs.readlink(c.path(name))
		if err != nil {
			status = 1
			continue
		}
		fmt.Fprintln(c.out, target)
	}
	return status
}

// isPipe reports that nobody reads a command's output any more.
func isPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF)
}
