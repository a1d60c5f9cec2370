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
	"strings"
	"time"
)

// read lists or extracts an archive.
func (j *tarJob) read(names []string) error {
	in, err := j.input(j.archiveName())
	if err != nil {
		return err
	}
	defer in.Close()
	br := bufio.NewReaderSize(in, 256<<10)
	var r io.Reader = br
	if magic, _ := br.Peek(2); j.f.on("z") || string(magic) == "\x1f\x8b" {
		if r, err = gzip.NewReader(br); err != nil {
			return err
		}
	}
	tr := tar.NewReader(r)
	var dirs []*tar.Header // their times, once nothing is written into them any more
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(names) > 0 && !wanted(names, h.Name) {
			continue
		}
		if j.f.on("t") || j.f.on("v") {
			fmt.Fprintln(j.out, h.Name)
		}
		if j.f.on("t") {
			continue
		}
		if err := j.extract(tr, h); err != nil {
			j.failf("%s: %s", h.Name, reason(err))
			j.status = 2
			continue
		}
		if h.Typeflag == tar.TypeDir {
			dirs = append(dirs, h)
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := j.settle(dirs[i]); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, br)
	return err
}

func wanted(names []string, name string) bool {
	for _, want := range names {
		want = strings.TrimSuffix(want, "/")
		if name == want || strings.HasPrefix(name, want+"/") {
			return true
		}
	}
	return false
}

// target is where a member goes, "" for nowhere. Like GNU tar it refuses "..".
func (j *tarJob) target(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("member name contains '..'")
		}
	}
	name = j.strip(strings.TrimLeft(name, "/"))
	if name == "" || name == "." {
		return "", nil
	}
	return abs(j.dir, path.Clean(name)), nil
}

func (j *tarJob) extract(tr *tar.Reader, h *tar.Header) error {
	if j.f.on("O") {
		return j.copy(j.cmd.out, tr)
	}
	to, err := j.target(h.Name)
	if err != nil || to == "" {
		return err
	}
	if err := j.fs.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return j.fs.MkdirAll(to, 0o755)
	}
	if old, err := j.fs.Lstat(to); err == nil && !old.IsDir() {
		if j.f.on("k") {
			return fs.ErrExist
		}
		if err := j.fs.Remove(to); err != nil { // never write through what is there
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return j.unpack(tr, h, to)
	case tar.TypeSymlink:
		return j.fs.Symlink(h.Linkname, to)
	case tar.TypeLink:
		from, err := j.target(h.Linkname)
		if err != nil {
			return err
		}
		return j.fs.Link(from, to)
	}
	return fmt.Errorf("type %q: not available in the simulator", h.Typeflag)
}

func (j *tarJob) unpack(tr io.Reader, h *tar.Header, to string) error {
	file, err := j.fs.OpenFile(j.ctx, to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = j.copy(file, tr)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return j.settle(h)
}

// settle gives an extracted member its mode and time.
func (j *tarJob) settle(h *tar.Header) error {
	to, err := j.target(h.Name)
	if err != nil || to == "" {
		return err
	}
	if err := j.fs.Chmod(to, goMode(uint32(h.Mode)&0o7777)); err != nil || j.f.on("m") {
		return err
	}
	when := h.ModTime
	if when.IsZero() {
		when = time.Unix(0, 0)
	}
	return j.fs.Chtimes(to, when, when)
}
