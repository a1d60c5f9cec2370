package box

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/pattern"
)

// tarJob is one run of tar.
type tarJob struct {
	*cmd
	f       flags
	dir     string
	exclude []*regexp.Regexp
	seen    map[[2]uint64]string // files with several names
	status  int
}

func cmdTar(c *cmd) int {
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		c.args[0] = "-" + c.args[0] // tar cf x y
	}
	f, names, ok := c.parse("cxtf:C:T:zhpvOSPnkmo", "create=c", "extract=x", "get=x", "list=t", "file:=f", "directory:=C",
		"files-from:=T", "null=null", "no-recursion=norec", "exclude:=exclude", "gzip=z", "dereference=h", "verbose=v",
		"to-stdout=O", "sparse=S", "numeric-owner=no", "format:=format", "no-same-owner=o", "same-permissions=p", "preserve-permissions=p",
		"no-same-permissions=no", "ignore-failed-read=no", "warning:=no", "absolute-names=P", "strip-components:=strip",
		"verbatim-files-from=no", "no-unquote=no", "hard-dereference=hard", "owner:=no", "group:=no", "sort:=no", "one-file-system=no",
		"keep-old-files=k", "touch=m", "record-size:=no", "blocking-factor:=no")
	if !ok {
		return 2
	}
	j := &tarJob{cmd: c, f: f, dir: c.dir, seen: make(map[[2]uint64]string)}
	if dir, given := f.get("C"); given {
		j.dir = c.path(dir)
		if fi, err := c.fs.Stat(j.dir); err != nil || !fi.IsDir() {
			return j.fatal("%s: Cannot open: No such directory", dir)
		}
	}
	for _, p := range f.all("exclude") {
		expr, err := pattern.Regexp(p, 0)
		if err != nil {
			return j.fatal("%s: %v", p, err)
		}
		re, err := regexp.Compile("(^|/)(" + expr + ")$")
		if err != nil {
			return j.fatal("%s: %v", p, err)
		}
		j.exclude = append(j.exclude, re)
	}
	var err error
	switch {
	case f.on("c"):
		err = j.create(names)
	case f.on("x"), f.on("t"):
		err = j.read(names)
	default:
		return j.fatal("You must specify one of -c, -x, -t")
	}
	if err != nil {
		if isPipe(err) {
			return 141
		}
		return j.fatal("%s", reason(err))
	}
	return j.status
}

func (j *tarJob) fatal(format string, args ...any) int {
	j.failf(format, args...)
	return 2
}

// archive is the file that -f names.
func (j *tarJob) archiveName() string {
	if name, given := j.f.get("f"); given {
		return name
	}
	return "-"
}

func (j *tarJob) create(names []string) (err error) {
	if lists := j.f.all("T"); len(lists) > 0 {
		more, err := j.listed(lists)
		if err != nil {
			return err
		}
		names = append(names, more...)
	} else if len(names) == 0 {
		return errors.New("cowardly refusing to create an empty archive")
	}
	out := j.out
	if name := j.archiveName(); name != "-" {
		file, err := j.fs.OpenFile(j.ctx, j.path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	buffered := bufio.NewWriterSize(out, 256<<10)
	var raw io.Writer = buffered
	var zip *gzip.Writer
	if j.f.on("z") {
		zip = gzip.NewWriter(buffered)
		raw = zip
	}
	tw := tar.NewWriter(raw)
	for _, name := range names {
		if err := j.add(tw, name, true); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	if zip != nil {
		if err := zip.Close(); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// listed reads the names in the files of -T.
func (j *tarJob) listed(lists []string) ([]string, error) {
	end := "\n"
	if j.f.on("null") {
		end = "\x00"
	}
	var names []string
	for _, list := range lists {
		r, err := j.input(list)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil {
			return nil, err
		}
		for name := range strings.SplitSeq(string(data), end) {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// add writes one file, and what is in a folder. A file that cannot be read is
// reported and left out.
func (j *tarJob) add(tw *tar.Writer, name string, top bool) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	for _, re := range j.exclude {
		if re.MatchString(name) {
			return nil
		}
	}
	full := abs(j.dir, name)
	fi, err := j.fs.stat(full, j.f.on("h"))
	if err != nil {
		j.failf("%s: Cannot stat: %s", name, reason(err))
		j.status = 2
		return nil
	}
	if err := j.entry(tw, name, full, fi); err != nil {
		return err
	}
	if !fi.IsDir() || j.f.on("norec") {
		return nil
	}
	entries, err := j.fs.ReadDir(full)
	if err != nil {
		j.failf("%s: Cannot open: %s", name, reason(err))
		j.status = 2
		return nil
	}
	for _, e := range entries {
		if err := j.add(tw, strings.TrimSuffix(name, "/")+"/"+e.Name(), false); err != nil {
			return err
		}
	}
	return nil
}

// entry writes one header with its content.
func (j *tarJob) entry(tw *tar.Writer, name, full string, fi fs.FileInfo) error {
	shown := name
	if !j.f.on("P") {
		shown = strings.TrimLeft(shown, "/")
	}
	h := &tar.Header{Name: shown, Mode: int64(unixMode(fi.Mode())), ModTime: fi.ModTime(), Uname: "root", Gname: "root", Format: tar.FormatGNU}
	if format, _ := j.f.get("format"); format == "pax" || format == "posix" {
		h.Format = tar.FormatPAX
	}
	if h.Format == tar.FormatGNU {
		h.ModTime = h.ModTime.Truncate(1e9)
	}
	sys := sysOf(fi)
	id := [2]uint64{sys.dev, sys.ino}
	switch mode := fi.Mode(); {
	case mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(shown, "/")+"/"
	case mode&fs.ModeSymlink != 0:
		target, err := j.fs.Readlink(full)
		if err != nil {
			j.status = j.failf("%s: %s", name, reason(err))
			return nil
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case mode&fs.ModeNamedPipe != 0:
		h.Typeflag = tar.TypeFifo
	case mode&fs.ModeDevice != 0:
		h.Typeflag = tar.TypeChar
	case mode&fs.ModeSocket != 0:
		j.failf("%s: socket ignored", name)
		return nil
	case sys.nlink > 1 && sys.ino != 0 && j.seen[id] != "" && !j.f.on("hard"):
		h.Typeflag, h.Linkname = tar.TypeLink, j.seen[id]
	default:
		j.seen[id] = shown
		h.Typeflag = tar.TypeReg
		return j.content(tw, h, name, full)
	}
	if j.f.on("v") {
		fmt.Fprintln(j.err, h.Name)
	}
	return tw.WriteHeader(h)
}

// content writes a plain file. One that shrinks meanwhile is filled up with
// zeros, as GNU tar does.
func (j *tarJob) content(tw *tar.Writer, h *tar.Header, name, full string) error {
	file, err := j.fs.Open(j.ctx, full)
	if err != nil {
		j.failf("%s: Cannot open: %s", name, reason(err))
		j.status = 2
		return nil
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	h.Size = fi.Size()
	if j.f.on("v") {
		fmt.Fprintln(j.err, h.Name)
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{tw}, io.LimitReader(&ctxReader{ctx: j.ctx, r: file}, h.Size), make([]byte, 256<<10))
	if err == nil && n < h.Size {
		j.failf("%s: File shrank by %d bytes; padding with zeros", name, h.Size-n)
		j.status = 1
		_, err = io.CopyN(tw, zeros{}, h.Size-n)
	}
	return err
}

// strip takes leading components off a member's name.
func (j *tarJob) strip(name string) string {
	text, given := j.f.get("strip")
	if !given {
		return name
	}
	n, err := number(text)
	if err != nil {
		return name
	}
	parts := strings.Split(path.Clean(name), "/")
	return path.Join(parts[min(int(n), len(parts)):]...)
}
