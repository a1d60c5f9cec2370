//go:build unix

package dest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// border is a destination with a neighbour that must stay as it is, and in it a
// symlink to the neighbour, a folder and a file.
func border(t *testing.T, o Options) (d *Dest, dir string) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "dest")
	check(t, os.MkdirAll(filepath.Join(top, "outside/sub"), 0o755))
	check(t, os.WriteFile(filepath.Join(top, "outside/secret"), []byte("secret"), 0o600))
	check(t, os.MkdirAll(filepath.Join(dir, "folder"), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "folder/in"), []byte("in"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "file"), []byte("file"), 0o644))
	check(t, os.Symlink("../outside", filepath.Join(dir, "out")))
	check(t, os.Symlink("folder", filepath.Join(dir, "link")))
	before := outside(t, top)
	d, err := Open(dir, o)
	check(t, err)
	t.Cleanup(func() {
		d.Close(false)
		if after := outside(t, top); !slices.Equal(before, after) {
			t.Errorf("outside the destination was %q, is %q", before, after)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, PartialPrefix+"*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	return d, dir
}

// outside describes all that lies beside the destination.
func outside(t *testing.T, top string) (all []string) {
	t.Helper()
	check(t, filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if name == filepath.Join(top, "dest") {
			return fs.SkipDir
		}
		check(t, err)
		fi, err := e.Info()
		check(t, err)
		if !fi.IsDir() || name != top {
			all = append(all, fmt.Sprint(name, fi.Mode(), fi.Size(), fi.ModTime()))
		}
		return nil
	}))
	return all
}

// put writes a file through the border.
func put(d *Dest, rel, content string) error {
	p := d.Part(rel)
	f, err := p.Create(0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		f.Discard()
		return err
	}
	if err := f.Finish(0o644, time.Unix(1e9, 0)); err != nil {
		return err
	}
	return p.Commit()
}

// ops are all ways to change something.
func ops(d *Dest) map[string]func(rel string) error {
	return map[string]func(rel string) error{
		"file":     func(rel string) error { return put(d, rel, "evil") },
		"folder":   func(rel string) error { _, err := d.Mkdir(rel); return err },
		"symlink":  func(rel string) error { return d.Symlink(rel, "file") },
		"hardlink": func(rel string) error { _, err := d.Hardlink("file", rel); return err },
		"meta":     func(rel string) error { return d.SetMeta(rel, 0o777, time.Unix(1, 0)) },
		"remove":   d.Remove,
		"unlock":   d.Unlock,
	}
}

// TestHostilePaths tries each way to change something with names that lead out,
// or through something that is no folder. The caller checked nothing.
func TestHostilePaths(t *testing.T) {
	for _, rel := range []string{
		"..", "../outside/new", "../outside/secret", "folder/../../outside/secret", "/etc/passwd", "folder/..", ".", "", "folder//x", "a\x00b",
		"out/new", "out/secret", "out/sub/new", "out/sub", "link/in", "link/new", "file/x",
		PartialPrefix + "x", PartialPrefix + "x/f", strings.Repeat("x", 256),
	} {
		d, dir := border(t, Options{})
		for name, op := range ops(d) {
			if err := op(rel); err == nil {
				t.Errorf("%s at %.40q: no error", name, rel)
			}
		}
		if _, err := d.Hardlink(rel, "second"); err == nil {
			t.Errorf("hard link to %.40q: no error", rel)
		}
		if f, err := d.Read(rel); err == nil {
			_ = f.Close()
			t.Errorf("reading %.40q: no error", rel)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "folder/in")); err != nil || string(got) != "in" {
			t.Errorf("%.40q: folder/in is %q, %v", rel, got, err)
		}
	}
}

// TestLinksAreReplaced writes over a symlink: it goes, what it led to stays.
func TestLinksAreReplaced(t *testing.T) {
	d, dir := border(t, Options{})
	check(t, put(d, "out", "mine"))
	check(t, put(d, "link", "mine"))
	for _, name := range []string{"out", "link"} {
		if fi, err := os.Lstat(filepath.Join(dir, name)); err != nil || !fi.Mode().IsRegular() {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
	}
	check(t, d.Remove("out"))
	check(t, d.Symlink("inner", "folder"))
	check(t, d.Remove("inner"))
	if _, err := os.Stat(filepath.Join(dir, "folder/in")); err != nil {
		t.Errorf("removing a link removed what it led to: %v", err)
	}
	if err := d.SetMeta("link", 0o600, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestLinkTargets makes only symlinks that stay inside, unless all are asked for.
func TestLinkTargets(t *testing.T) {
	d, dir := border(t, Options{})
	for _, target := range []string{"/etc/passwd", "..", "../outside", "folder/../..", "", strings.Repeat("z", 5000)} {
		var bad *NameError
		if err := d.Symlink("l", target); !errors.As(err, &bad) {
			t.Errorf("link to %.20q: %v", target, err)
		}
	}
	all, err := Open(dir, Options{AllLinks: true})
	check(t, err)
	defer all.Close(false)
	check(t, all.Symlink("l", "../outside"))
	if got, err := all.Readlink("l"); err != nil || got != "../outside" {
		t.Errorf("the link leads to %q, %v", got, err)
	}
	if err := put(all, "l/new", "evil"); !errors.Is(err, ErrInTheWay) {
		t.Errorf("through the new link: %v", err)
	}
}

// TestFoldersAreNotReplaced puts files and links where folders are.
func TestFoldersAreNotReplaced(t *testing.T) {
	d, _ := border(t, Options{})
	if err := put(d, "folder", "x"); !errors.Is(err, ErrInTheWay) {
		t.Errorf("a file over a folder: %v", err)
	}
	if err := d.Symlink("folder", "file"); !errors.Is(err, ErrInTheWay) {
		t.Errorf("a link over a folder: %v", err)
	}
	if made, err := d.Mkdir("folder"); made || err != nil {
		t.Errorf("a folder that is there: %v, %v", made, err)
	}
	if _, err := d.Mkdir("file"); !errors.Is(err, ErrInTheWay) {
		t.Errorf("a folder over a file: %v", err)
	}
}

// TestSwappedFolder swaps folders for symlinks to the neighbour while they are
// in use: what follows is written into the folder that was, or refused.
func TestSwappedFolder(t *testing.T) {
	d, dir := border(t, Options{})
	check(t, put(d, "folder/a", "1"))
	at := filepath.Join(dir, "folder")
	check(t, os.Rename(at, at+".moved"))
	check(t, os.Symlink("../outside", at))
	for name, op := range ops(d) {
		_ = op("folder/" + name)
		_ = op("folder/sub/" + name)
		_ = op("folder/secret")
	}
	if got, err := d.ReadDir("folder"); len(got) > 0 || err != nil {
		t.Errorf("listed %v, %v", got, err)
	}
}

// TestModes: setuid and its like never travel.
func TestModes(t *testing.T) {
	d, dir := border(t, Options{})
	p := d.Part("suid")
	f, err := p.Create(fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o777)
	check(t, err)
	check(t, f.Finish(fs.ModeSetuid|0o777, time.Now()))
	check(t, p.Commit())
	check(t, d.SetMeta("folder", fs.ModeSetgid|fs.ModeSticky|0o750, time.Now()))
	for name, want := range map[string]fs.FileMode{"suid": 0o777, "folder": fs.ModeDir | 0o750} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode() != want {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
}

// TestUnfinished: a part is not seen below its final name, is taken up again
// only for the same token, and never by two at once.
func TestUnfinished(t *testing.T) {
	d, dir := border(t, Options{Token: "a"})
	f, err := d.Part("new").Resume()
	check(t, err)
	_, err = f.WriteString("half")
	check(t, err)
	check(t, f.Close())
	j, err := d.Part("new").CreateJournal()
	check(t, err)
	check(t, j.Close())
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("an unfinished file has its final name")
	}
	beside, err := Open(dir, Options{Token: "a"})
	check(t, err)
	if !beside.Fresh() || beside.name == d.name {
		t.Error("two use one partial folder")
	}
	beside.Close(false)
	d.Close(true)
	other, err := Open(dir, Options{Token: "b"})
	check(t, err)
	if !other.Fresh() || other.Part("new").Begun() {
		t.Error("another token finds unfinished files")
	}
	other.Close(false)
	*d = *reopen(t, dir, Options{Token: "a"})
	if d.Fresh() || !d.Part("new").Begun() || d.Part("new").Held() == 0 {
		t.Error("unfinished files are not found again")
	}
	f, err = d.Part("new").Resume()
	check(t, err)
	check(t, d.Part("new").FinishResumed(f, 0o400, time.Unix(1e9, 5)))
	check(t, f.Close())
	check(t, d.Part("new").Commit())
	if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(got) != "half" {
		t.Errorf("%q, %v", got, err)
	}
}

func reopen(t *testing.T, dir string, o Options) *Dest {
	t.Helper()
	d, err := Open(dir, o)
	check(t, err)
	return d
}

// TestManyFolders uses more folders than are kept open, some of them read-only.
func TestManyFolders(t *testing.T) {
	d, dir := border(t, Options{})
	for i := range 3 * maxOpenDirs {
		rel := fmt.Sprintf("many/d%d/sub", i)
		_, err := d.Mkdir(rel)
		check(t, err)
		check(t, d.SetMeta(rel, 0o500, time.Unix(1e9, 0)))
		check(t, put(d, rel+"/f", fmt.Sprint(i)))
	}
	if n := len(d.dirs.open); n > maxOpenDirs {
		t.Errorf("%d folders are open", n)
	}
	for i := range 3 * maxOpenDirs {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("many/d%d/sub/f", i)))
		if err != nil || string(got) != fmt.Sprint(i) {
			t.Fatalf("%d: %q, %v", i, got, err)
		}
	}
	for i := range 3 * maxOpenDirs {
		rel := fmt.Sprintf("many/d%d/sub", i)
		if d.Remove(rel) == nil {
			t.Fatal("a folder was removed with what was in it")
		}
		check(t, d.Remove(rel+"/f"))
		check(t, d.Remove(rel))
	}
}

// TestDryRun changes nothing, and needs no folder.
func TestDryRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	d, err := Open(dir, Options{DryRun: true})
	check(t, err)
	defer d.Close(false)
	if _, err := d.Lstat("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lstat: %v", err)
	}
	if got, err := d.Readlink("a"); got != "" || err != nil {
		t.Errorf("readlink: %q, %v", got, err)
	}
	if entries, err := d.ReadDir(""); d.Part("a").Held() != 0 || len(entries) > 0 || err != nil {
		t.Error("there is something in a folder that is not there")
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("a dry run made the folder")
	}
}
