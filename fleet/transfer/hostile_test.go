//go:build unix

package transfer

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// evilVM answers the commands of a pull by itself, as a hostile VM may. What is
// not overridden is answered faithfully from files.
type evilVM struct {
	files   map[string]string // by full name, what tar and cat deliver
	listing func(w io.Writer)
	tar     func(w io.Writer, names <-chan string)
	hash    func(w io.Writer, names <-chan string)
	prefix  func(name string, n int64) string
	cat     func(w io.Writer, name string)
	why     string
	tools   string // of "P", the fields
}

const (
	evilTools  = "find\x00gnu\x00sha256sum\x00none\x00dd tee\x00"
	apartTools = "find\x00gnu\x00sha256sum\x00none\x00dd\x00" // contents and hashes come in two sessions
)

func (vm *evilVM) OpenSubsystem(context.Context, string) (io.ReadWriteCloser, error) {
	return nil, errors.New("no subsystem")
}

func (vm *evilVM) Ping(context.Context) error { return nil }

func (vm *evilVM) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	w := bufio.NewWriterSize(&ctxWriter{ctx, stdout}, 32<<10)
	_, _ = io.WriteString(w, session.Ready)
	in := bufio.NewReader(stdin)
	for line := ""; line != "@vers-fleet-go@\n"; { // what a .bashrc may take, see session
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return &testExit{97}
		}
	}
	switch cmd {
	case session.RunScript:
		if vm.tools == "" {
			vm.tools = evilTools
		}
		_, _ = io.WriteString(w, "P\x00"+vm.tools)
		vm.listing(w)
	case tarCmd:
		_, _ = in.ReadString('\n')
		vm.tar(w, items(in))
	case tarHashCmd:
		_, _ = in.ReadString('\n')
		_, _ = in.ReadString('\n')
		names, hashed, done := make(chan string, 10_000), make(chan string, 10_000), make(chan bool)
		go func() {
			defer close(done)
			side := bufio.NewWriterSize(&ctxWriter{ctx, stderr}, 32<<10)
			vm.hash(side, hashed)
			_ = side.Flush()
		}()
		go func() {
			defer close(names)
			defer close(hashed)
			for name := range items(in) {
				names <- name
				hashed <- name
			}
		}()
		vm.tar(w, names)
		_ = w.Flush()
		<-done
	case hashCmd:
		_, _ = in.ReadString('\n')
		vm.hash(w, items(in))
	case prefixHashCmd:
		for i := 0; ; i++ {
			num, err := in.ReadString(0)
			if err != nil {
				break
			}
			length, _ := in.ReadString(0)
			name, _ := in.ReadString(0)
			var n int64
			_, _ = fmt.Sscan(strings.TrimSuffix(length, "\x00"), &n)
			_, _ = fmt.Fprintf(w, "%s %s\n", strings.TrimSuffix(num, "\x00"), vm.prefix(strings.TrimSuffix(name, "\x00"), n))
			_ = w.Flush()
		}
	case accessCmd:
		for range items(in) {
			_, _ = io.WriteString(w, vm.why)
		}
	case catCmd:
		for name := range items(in) {
			vm.cat(w, name)
		}
	case rangeCmd:
		for name := range items(in) { // never what was asked for
			_, _ = io.WriteString(w, name)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return ctx.Err()
}

// eachWay runs a test with contents and hashes in one session and in two.
func eachWay(t *testing.T, name string, test func(t *testing.T, tools string)) {
	t.Helper()
	for way, tools := range map[string]string{"one session": evilTools, "two sessions": apartTools} {
		t.Run(name+", "+way, func(t *testing.T) {
			t.Parallel()
			test(t, tools)
		})
	}
}

// ctxWriter fails when the session has ended.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w *ctxWriter) Write(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, w.ctx.Err()
	}
	return w.w.Write(p)
}

// items are the NUL-ended items of stdin as they come.
func items(in *bufio.Reader) <-chan string {
	ch := make(chan string, 10_000)
	go func() {
		defer close(ch)
		for {
			s, err := in.ReadString(0)
			if err != nil {
				return
			}
			ch <- strings.TrimSuffix(s, "\x00")
		}
	}()
	return ch
}

// rec is a record of a listing.
func rec(kind byte, name string, size int64, target string) string {
	return fmt.Sprintf("F%c %d 644 1700000000.5 1 0 1 8\x00%s\x00%s\x00", kind, size, target, name)
}

// newEvil is a VM that lists /w with a file "ok" and whatever more says.
func newEvil(more string) *evilVM {
	vm := &evilVM{files: map[string]string{"/w/ok": "fine"}, why: "C"}
	vm.listing = func(w io.Writer) {
		_, _ = io.WriteString(w, "R0\x00"+rec('d', "", 0, "")+more+rec('f', "ok", 4, "")+"E0\x00")
	}
	vm.tar = func(w io.Writer, names <-chan string) {
		tw := tar.NewWriter(w)
		for name := range names {
			vm.send(tw, name)
		}
		_ = tw.Close()
	}
	vm.hash = func(w io.Writer, names <-chan string) {
		for name := range names {
			_, _ = fmt.Fprintf(w, "%x  %s\n", sha256.Sum256([]byte(vm.files[name])), name)
		}
	}
	vm.prefix = func(name string, n int64) string {
		text := vm.files[name]
		return fmt.Sprintf("%x", sha256.Sum256([]byte(text[:min(n, int64(len(text)))])))
	}
	vm.cat = func(w io.Writer, name string) { _, _ = io.WriteString(w, vm.files[name]) }
	return vm
}

func (vm *evilVM) send(tw *tar.Writer, name string) {
	text := vm.files[name]
	_ = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644, Format: tar.FormatGNU})
	_, _ = io.WriteString(tw, text)
	_ = tw.Flush()
}

// evilDest is a destination with a neighbour that must stay as it is.
type evilDest struct{ top, dest string }

func newEvilDest(t *testing.T) evilDest {
	t.Helper()
	top := t.TempDir()
	d := evilDest{top, filepath.Join(top, "dest")}
	check(t, os.MkdirAll(filepath.Join(top, "outside"), 0o755))
	check(t, os.WriteFile(filepath.Join(top, "outside/secret"), []byte("secret"), 0o600))
	check(t, os.MkdirAll(d.dest, 0o755))
	check(t, os.Symlink("../outside", filepath.Join(d.dest, "out")))
	check(t, os.WriteFile(filepath.Join(d.dest, "mine"), []byte("mine"), 0o644))
	return d
}

// untouched checks that nothing outside the destination changed, and that what
// was here before is as it was.
func (d evilDest) untouched(t *testing.T) {
	t.Helper()
	var names []string
	check(t, filepath.WalkDir(d.top, func(name string, _ fs.DirEntry, err error) error {
		if name == d.dest {
			return fs.SkipDir
		}
		names = append(names, strings.TrimPrefix(name, d.top))
		return err
	}))
	if got := strings.Join(names, " "); got != " /outside /outside/secret" {
		t.Errorf("outside the destination: %q", got)
	}
	for name, want := range map[string]string{"outside/secret": "secret", "dest/mine": "mine"} {
		if got, err := os.ReadFile(filepath.Join(d.top, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	check(t, filepath.WalkDir(d.dest, func(name string, e fs.DirEntry, err error) error {
		check(t, err)
		fi, err := e.Info()
		check(t, err)
		if m := fi.Mode(); m&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
			t.Errorf("%s has mode %v", name, m)
		}
		return nil
	}))
}

// evilPull pulls /w/ from a hostile VM, which must end soon.
func evilPull(t *testing.T, vm Conn, d evilDest, o PullOptions) (Summary, error) {
	t.Helper()
	o.Paths, o.Dest = []string{"/w/"}, d.dest
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sum, err := Pull(ctx, Remote{Conn: vm}, o)
	if ctx.Err() != nil {
		t.Fatal("it did not end")
	}
	d.untouched(t)
	return sum, err
}

// goodArrived checks that the honest file came in spite of everything.
func goodArrived(t *testing.T, d evilDest) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(d.dest, "ok")); err != nil || string(got) != "fine" {
		t.Errorf("the honest file: %q, %v", got, err)
	}
}

// TestHostileNames lists names that must be refused one by one.
func TestHostileNames(t *testing.T) {
	deep := strings.Repeat("d/", 3000) + "x"
	for name, more := range map[string]string{
		"absolute":             rec('f', "/etc/passwd", 4, ""),
		"parent":               rec('f', "../outside/new", 4, ""),
		"parent inside":        rec('f', "a/../../outside/new", 4, ""),
		"parent at the end":    rec('d', "a/..", 0, ""),
		"only parent":          rec('d', "..", 0, ""),
		"dot":                  rec('d', ".", 0, ""),
		"dot part":             rec('f', "a/./b", 4, ""),
		"double slash":         rec('f', "a//b", 4, ""),
		"trailing slash":       rec('f', "a/", 4, ""),
		"too long a part":      rec('f', strings.Repeat("x", 256), 4, ""),
		"too long a path":      rec('f', deep, 4, ""),
		"giant name":           rec('f', strings.Repeat("y", 1<<20), 4, ""),
		"reserved":             rec('f', partialPrefix+"abc/f", 4, ""),
		"reserved folder":      rec('d', partialPrefix+"abc", 0, ""),
		"through a link here":  rec('f', "out/new", 4, ""),
		"deep through a link":  rec('f', "out/a/b/new", 4, ""),
		"folder over a link":   rec('d', "out", 0, ""),
		"through its own link": rec('l', "l", 0, "ok") + rec('f', "l/x", 4, ""),
		"through a dir link":   rec('d', "dd", 0, "") + rec('l', "l", 0, "dd") + rec('f', "l/x", 4, ""),
		"folder over a file":   rec('d', "mine", 0, ""),
		"below a file":         rec('f', "mine/x", 4, ""),
		"listed twice":         rec('f', "b", 4, "") + rec('f', "b", 4, ""),
		"file and folder":      rec('d', "b", 0, "") + rec('f', "b", 4, ""),
		"file over a folder":   rec('f', "b/c", 4, "") + rec('f', "b", 4, ""),
		"folder over new file": rec('f', "b", 4, "") + rec('d', "b", 0, ""),
		"link over a folder":   rec('d', "b", 0, "") + rec('f', "b/x", 4, "") + rec('l', "b", 0, "ok"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newEvil(more)
			for _, f := range []string{"b", "b/c", "b/x", "out/new", "out/a/b/new", "l/x", "mine/x"} {
				vm.files["/w/"+f] = "evil"
			}
			d := newEvilDest(t)
			sum, err := evilPull(t, vm, d, PullOptions{})
			check(t, err)
			if sum.Failed == 0 {
				t.Error("nothing was refused")
			}
			goodArrived(t, d)
		})
	}
}

// TestHostileLinks lists symlinks that must not be made: impossible ones are
// refused, those that lead out of the destination left out and counted.
func TestHostileLinks(t *testing.T) {
	for _, target := range []string{
		"/etc/passwd", "/", "..", "../outside", "../../x", "a/../../outside", "ok/..", "./../x", "a/..", "",
		"../dest/ok", strings.Repeat("z", 5000), "//etc", "a/b/../../../x", ".././..",
	} {
		d := newEvilDest(t)
		sum, err := evilPull(t, newEvil(rec('l', "link", 0, target)), d, PullOptions{})
		check(t, err)
		if _, err := os.Lstat(filepath.Join(d.dest, "link")); err == nil || sum.Failed+sum.Outward != 1 || (sum.Failed == 1) != (dest.BadTarget(target) != "") {
			t.Errorf("link to %.40q: %v, failed %d, left out %d", target, err, sum.Failed, sum.Outward)
		}
		goodArrived(t, d)
	}
	for _, target := range []string{"ok", "./ok", "sub/x", "no such"} {
		d := newEvilDest(t)
		sum, err := evilPull(t, newEvil(rec('l', "link", 0, target)), d, PullOptions{})
		check(t, err)
		if got, _ := os.Readlink(filepath.Join(d.dest, "link")); got != target || sum.Failed != 0 {
			t.Errorf("link to %q: %q, failed %d", target, got, sum.Failed)
		}
	}
}

// TestHostileTypes lists what must never be made here.
func TestHostileTypes(t *testing.T) {
	for _, kind := range "bcpsDU?" {
		d := newEvilDest(t)
		sum, err := evilPull(t, newEvil(rec(byte(kind), "dev", 0, "")), d, PullOptions{})
		check(t, err)
		if _, err := os.Lstat(filepath.Join(d.dest, "dev")); err == nil || sum.Special != 1 {
			t.Errorf("type %c: %v, special %d", kind, err, sum.Special)
		}
	}
	d := newEvilDest(t)
	suid := strings.Replace(rec('f', "suid", 4, ""), " 644 ", " 7777 ", 1)
	vm := newEvil(suid)
	vm.files["/w/suid"] = "evil"
	_, err := evilPull(t, vm, d, PullOptions{})
	check(t, err)
	if fi, err := os.Stat(filepath.Join(d.dest, "suid")); err != nil || fi.Mode() != 0o777 {
		t.Errorf("setuid file: %v, %v", fi, err)
	}
}
