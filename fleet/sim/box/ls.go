package box

import (
	"bufio"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// lsEntry is one line of ls.
type lsEntry struct {
	name string // as printed
	full string
	fi   fs.FileInfo
}

// cmdLs always prints one name per line, as a real one does into a pipe.
func cmdLs(c *cmd) int {
	f, names, ok := c.parse("laA1piLn")
	if !ok {
		return 2
	}
	if f.on("n") {
		f.count["l"]++
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	out := bufio.NewWriter(c.out)
	defer func() { _ = out.Flush() }()
	status := 0
	var files []lsEntry
	var dirs []string
	for _, name := range names {
		full := c.path(name)
		fi, err := c.fs.look(full, f.on("L") || !f.on("l"))
		if err != nil {
			fi, err = c.fs.lstat(full)
		}
		switch {
		case err != nil:
			status = c.usage(2, "cannot access '%s': %s", name, reason(err))
		case fi.IsDir():
			dirs = append(dirs, name)
		default:
			files = append(files, lsEntry{name: name, full: full, fi: fi})
		}
	}
	slices.Sort(dirs)
	c.lsPrint(out, f, files)
	for i, dir := range dirs {
		if len(names) > 1 {
			if i > 0 || len(files) > 0 {
				out.WriteByte('\n')
			}
			fmt.Fprintf(out, "%s:\n", dir)
		}
		if err := c.lsDir(out, f, dir); err != nil {
			status = c.usage(2, "cannot open directory '%s': %s", dir, reason(err))
		}
	}
	return status
}

// lsDir lists one folder.
func (c *cmd) lsDir(out *bufio.Writer, f flags, dir string) error {
	full := c.path(dir)
	list, err := c.fs.readDir(full)
	if err != nil {
		return err
	}
	var entries []lsEntry
	var blocks int64
	add := func(name string, fi fs.FileInfo, err error) {
		if err == nil { // else: gone meanwhile
			entries = append(entries, lsEntry{name: name, full: full + "/" + name, fi: fi})
			blocks += sysOf(fi).blocks
		}
	}
	if f.on("a") {
		for _, dot := range []string{".", ".."} {
			fi, err := c.fs.stat(full + "/" + dot)
			add(dot, fi, err)
		}
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), ".") || f.on("a") || f.on("A") {
			fi, err := c.fs.entry(path.Join(full, e.Name()), e)
			add(e.Name(), fi, err)
		}
	}
	if f.on("l") {
		fmt.Fprintf(out, "total %d\n", blocks/2)
	}
	c.lsPrint(out, f, entries)
	return nil
}

func (c *cmd) lsPrint(out *bufio.Writer, f flags, entries []lsEntry) {
	slices.SortFunc(entries, func(a, b lsEntry) int { return strings.Compare(a.name, b.name) })
	var ino, links, size int // widths of the columns
	for _, e := range entries {
		sys := sysOf(e.fi)
		ino = max(ino, len(fmt.Sprint(sys.ino)))
		links, size = max(links, len(fmt.Sprint(sys.nlink))), max(size, len(fmt.Sprint(e.fi.Size())))
	}
	owner := "root root"
	if f.on("n") {
		owner = "0 0"
	}
	for _, e := range entries {
		if f.on("i") {
			fmt.Fprintf(out, "%*d ", ino, sysOf(e.fi).ino)
		}
		if f.on("l") {
			fmt.Fprintf(out, "%s %*d %s %*d %s ", modeText(e.fi.Mode()), links, sysOf(e.fi).nlink, owner, size, e.fi.Size(), lsTime(e.fi.ModTime().UTC()))
		}
		out.WriteString(e.name)
		if f.on("p") && e.fi.IsDir() {
			out.WriteByte('/')
		}
		if f.on("l") && e.fi.Mode()&fs.ModeSymlink != 0 {
			if target, err := c.fs.readlink(e.full); err == nil {
				out.WriteString(" -> " + target)
			}
		}
		out.WriteByte('\n')
	}
}

// lsTime shows the hour of what is younger than half a year.
func lsTime(when time.Time) string {
	if age := time.Since(when); age > 365*24*time.Hour/2 || age < 0 {
		return when.Format("Jan _2  2006")
	}
	return when.Format("Jan _2 15:04")
}
