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

func cmdLs(c *cmd) int {
	f, names, ok := c.parse("laA1hdFpRtSrinLg", "all=a", "almost-all=A", "human-readable=h", "directory=d", "recursive=R",
		"reverse=r", "inode=i", "classify=F", "color", "color:=color")
	if !ok {
		return 2
	}
	out := bufio.NewWriter(c.out)
	defer out.Flush()
	if len(names) == 0 {
		names = []string{"."}
	}
	status := 0
	var files []lsEntry
	var dirs []string
	for _, name := range names {
		full := c.path(name)
		fi, err := c.fs.Lstat(full)
		if err == nil && fi.Mode()&fs.ModeSymlink != 0 && !f.on("l") || f.on("L") {
			if to, statErr := c.fs.Stat(full); statErr == nil {
				fi = to
			}
		}
		switch {
		case err != nil:
			c.failf("cannot access '%s': %s", name, reason(err))
			status = 2
		case fi.IsDir() && !f.on("d"):
			dirs = append(dirs, name)
		default:
			files = append(files, lsEntry{name: name, full: full, fi: fi})
		}
	}
	c.lsPrint(out, f, files)
	for i, dir := range dirs {
		if len(names) > 1 || f.on("R") {
			gap := "\n"
			if i == 0 && len(files) == 0 {
				gap = ""
			}
			fmt.Fprintf(out, "%s%s:\n", gap, dir)
		}
		if !c.lsDir(out, f, dir) {
			status = 2
		}
	}
	return status
}

// lsDir lists one folder, and with -R those below it.
func (c *cmd) lsDir(out *bufio.Writer, f flags, dir string) bool {
	full := c.path(dir)
	list, err := c.fs.ReadDir(full)
	if err != nil {
		c.failf("cannot open directory '%s': %s", dir, reason(err))
		return false
	}
	var entries []lsEntry
	add := func(name, full string, fi fs.FileInfo, err error) {
		if err == nil { // else: gone meanwhile
			entries = append(entries, lsEntry{name: name, full: full, fi: fi})
		}
	}
	if f.on("a") {
		for _, dot := range []string{".", ".."} {
			fi, err := c.fs.Stat(full + "/" + dot)
			add(dot, full+"/"+dot, fi, err)
		}
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") && !f.on("a") && !f.on("A") {
			continue
		}
		fi, err := c.fs.Entry(path.Join(full, e.Name()), e)
		add(e.Name(), full+"/"+e.Name(), fi, err)
	}
	if f.on("l") {
		var blocks int64
		for _, e := range entries {
			blocks += sysOf(e.fi).blocks
		}
		fmt.Fprintf(out, "total %d\n", blocks/2)
	}
	c.lsPrint(out, f, entries)
	good := c.ctx.Err() == nil
	if f.on("R") && good {
		for _, e := range entries {
			if e.fi.IsDir() && e.name != "." && e.name != ".." {
				sub := strings.TrimSuffix(dir, "/") + "/" + e.name
				fmt.Fprintf(out, "\n%s:\n", sub)
				good = c.lsDir(out, f, sub) && good
			}
		}
	}
	return good
}

func (c *cmd) lsPrint(out *bufio.Writer, f flags, entries []lsEntry) {
	switch {
	case f.on("t"):
		slices.SortStableFunc(entries, func(a, b lsEntry) int { return b.fi.ModTime().Compare(a.fi.ModTime()) })
	case f.on("S"):
		slices.SortStableFunc(entries, func(a, b lsEntry) int { return int(min(max(b.fi.Size()-a.fi.Size(), -1), 1)) })
	}
	if f.on("r") {
		slices.Reverse(entries)
	}
	for _, e := range entries {
		if f.on("i") {
			fmt.Fprintf(out, "%d ", sysOf(e.fi).ino)
		}
		if f.on("l") || f.on("n") || f.on("g") {
			c.lsLong(out, f, e)
		}
		out.WriteString(e.name)
		switch {
		case f.on("F"):
			out.WriteString(classify(e.fi.Mode()))
		case f.on("p") && e.fi.IsDir():
			out.WriteByte('/')
		}
		if f.on("l") && e.fi.Mode()&fs.ModeSymlink != 0 {
			if target, err := c.fs.Readlink(e.full); err == nil {
				out.WriteString(" -> " + target)
			}
		}
		out.WriteByte('\n')
	}
}

func (c *cmd) lsLong(out *bufio.Writer, f flags, e lsEntry) {
	size := fmt.Sprintf("%d", e.fi.Size())
	if f.on("h") {
		size = human(e.fi.Size())
	}
	owner := "root root"
	if f.on("n") {
		owner = "0 0"
	}
	if f.on("g") {
		owner = "root"
	}
	when := e.fi.ModTime().UTC()
	layout := "Jan _2 15:04"
	if age := time.Since(when); age > 180*24*time.Hour || age < -time.Hour {
		layout = "Jan _2  2006"
	}
	fmt.Fprintf(out, "%s %d %s %8s %s ", modeText(e.fi.Mode()), sysOf(e.fi).nlink, owner, size, when.Format(layout))
}

func classify(mode fs.FileMode) string {
	switch letter := typeLetter(mode); {
	case letter == "d":
		return "/"
	case letter == "l":
		return "@"
	case letter == "p":
		return "|"
	case letter == "f" && mode.Perm()&0o111 != 0:
		return "*"
	}
	return ""
}
