package box

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// tarJob is one run of tar. The archive goes through stdin and stdout only.
type tarJob struct {
	*cmd
	dir    string
	seen   map[[2]uint64]string // files with several names
	status int
	tell   bool // each name before it is extracted
}

func cmdTar(c *cmd) int {
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		c.args[0] = "-" + c.args[0] // tar cf - x
	}
	f, names, ok := c.parse("cxvf:C:po")
	if !ok {
		return 2
	}
	j := &tarJob{cmd: c, dir: c.dir, seen: make(map[[2]uint64]string)}
	if dir, given := f.get("C"); given {
		j.dir = c.path(dir)
		if fi, err := c.fs.stat(j.dir); err != nil || !fi.IsDir() {
			return c.usage(2, "%s: Cannot open: No such directory", dir)
		}
	}
	if name, given := f.get("f"); given && name != "-" {
		return c.usage(2, "an archive other than -: not available in the simulator")
	}
	var err error
	switch {
	case f.on("c") && len(names) > 0:
		err = j.create(names)
	case f.on("x") && len(names) == 0:
		j.tell = f.on("v")
		err = j.extractAll()
	default:
		return c.usage(2, "other than -c with names and -x without: not available in the simulator")
	}
	if err != nil && isPipe(err) {
		return 141
	}
	if err != nil {
		return c.usage(2, "%s", reason(err))
	}
	return j.status
}

func (j *tarJob) create(names []string) error {
	out := bufio.NewWriterSize(j.out, 256<<10)
	tw := tar.NewWriter(out)
	for _, name := range names {
		if err := j.add(tw, name); err != nil {
			return err
		}
	}
	return errors.Join(tw.Close(), out.Flush())
}

// add writes one file, and what is in a folder. A file that cannot be read is
// reported and left out.
func (j *tarJob) add(tw *tar.Writer, name string) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	full := abs(j.dir, name)
	fi, err := j.fs.lstat(full)
	if err != nil {
		j.status = j.usage(2, "%s: Cannot stat: %s", name, reason(err))
		return nil
	}
	if err := j.entry(tw, name, full, fi); err != nil || !fi.IsDir() {
		return err
	}
	entries, err := j.fs.readDir(full)
	if err != nil {
		j.status = j.usage(2, "%s: Cannot open: %s", name, reason(err))
	}
	for _, e := range entries {
		if err := j.add(tw, strings.TrimSuffix(name, "/")+"/"+e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// entry writes one header with its content.
func (j *tarJob) entry(tw *tar.Writer, name, full string, fi fs.FileInfo) error {
	shown := strings.TrimLeft(name, "/")
	h := &tar.Header{Name: shown, Mode: int64(unixMode(fi.Mode())), ModTime: fi.ModTime().Truncate(1e9), Uname: "root", Gname: "root", Format: tar.FormatGNU}
	sys := sysOf(fi)
	id := [2]uint64{sys.dev, sys.ino}
	switch mode := fi.Mode(); {
	case mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(shown, "/")+"/"
	case mode&fs.ModeSymlink != 0:
		target, err := j.fs.readlink(full)
		if err != nil {
			j.status = j.usage(2, "%s: %s", name, reason(err))
			return nil
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case mode&fs.ModeNamedPipe != 0:
		h.Typeflag = tar.TypeFifo
	case !mode.IsRegular():
		j.failf("%s: file ignored", name)
		return nil
	case sys.nlink > 1 && sys.ino != 0 && j.seen[id] != "":
		h.Typeflag, h.Linkname = tar.TypeLink, j.seen[id]
	default:
		j.seen[id] = shown
		return j.content(tw, h, name, full)
	}
	return tw.WriteHeader(h)
}

// content writes a plain file. One that shrinks meanwhile is filled up with
// zeros, as GNU tar does.
func (j *tarJob) content(tw *tar.Writer, h *tar.Header, name, full string) error {
	file, err := j.fs.open(j.ctx, full)
	if err != nil {
		j.status = j.usage(2, "%s: Cannot open: %s", name, reason(err))
		return nil
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, fi.Size()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{tw}, io.LimitReader(&ctxReader{ctx: j.ctx, r: file}, h.Size), make([]byte, 256<<10))
	if err == nil && n < h.Size {
		j.status = j.failf("%s: File shrank by %d bytes; padding with zeros", name, h.Size-n)
		_, err = io.CopyN(tw, zeros{}, h.Size-n)
	}
	return err
}

func (j *tarJob) extractAll() error {
	in := bufio.NewReaderSize(j.in, 256<<10)
	tr := tar.NewReader(in)
	var dirs []*tar.Header // their times, once nothing is written into them any more
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if j.tell {
			_, _ = fmt.Fprintln(j.out, h.Name)
		}
		if err := j.extract(tr, h); err != nil {
			j.status = j.usage(2, "%s: %s", h.Name, reason(err))
		} else if h.Typeflag == tar.TypeDir {
			dirs = append(dirs, h)
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := j.finish(dirs[i]); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// target is where a member goes. Like GNU tar it refuses "..".
func (j *tarJob) target(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("member name contains '..'")
		}
	}
	return abs(j.dir, path.Clean(strings.TrimLeft(name, "/"))), nil
}

func (j *tarJob) extract(tr *tar.Reader, h *tar.Header) error {
	to, err := j.target(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return j.fs.MkdirAll(to, 0o755)
	}
	if err := j.fs.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if old, err := j.fs.lstat(to); err == nil && !old.IsDir() {
		if err := j.fs.remove(to); err != nil { // never write through what is there
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		file, err := j.fs.openFile(j.ctx, to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = j.copy(file, tr)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		return j.finish(h)
	case tar.TypeSymlink:
		return j.fs.Symlink(h.Linkname, to)
	case tar.TypeLink:
		from, err := j.target(h.Linkname)
		if err != nil {
			return err
		}
		return j.fs.link(from, to)
	}
	return fmt.Errorf("type %q: not available in the simulator", h.Typeflag)
}

// finish gives an extracted member its mode and time.
func (j *tarJob) finish(h *tar.Header) error {
	to, err := j.target(h.Name)
	if err != nil {
		return err
	}
	return errors.Join(j.fs.Chmod(to, goMode(uint32(h.Mode)&0o7777)), j.fs.Chtimes(to, h.ModTime, h.ModTime))
}
