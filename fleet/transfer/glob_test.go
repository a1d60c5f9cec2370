//go:build unix

package transfer

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// Patterns are expanded on the VM, by whatever it has, and nothing in them is
// evaluated.
func TestPullGlob(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, kind)
			for _, f := range []string{"a.png", "b.png", "c d.png", ".hidden.png", "a[1].txt", "e/x", "g/x", "$(touch run)", "-n"} {
				vm.write(t, "w/"+f, f)
			}
			for pattern, want := range map[string]string{
				"w/*.png":             "a.png b.png c d.png",
				"w/?.png":             "a.png b.png",
				"w/[a]*.png":          "a.png",
				"~/w/c*":              "c d.png",
				"ABS/w/c*":            "c d.png",
				"*/a.png":             "a.png",
				"w/[eg]":              "e/ e/x g/ g/x",
				"w/e*/":               "x",
				"w/a[1].txt":          "a[1].txt", // its very name
				"w/$(touch*":          "$(touch run)",
				"w/-*":                "-n",
				"w/.h*":               ".hidden.png",
				"w/*/none":            "",
				"w/`touch run`*":      "",
				"w/\"; touch run; #*": "",
				"w/' touch run '*":    "",
			} {
				o := PullOptions{Paths: []string{strings.Replace(pattern, "ABS", vm.home, 1)}, Dest: t.TempDir()}
				_, err := pullTest(t, vm.remote(), o)
				if got := strings.Join(tree(t, o.Dest), " "); got != want || errors.Is(err, fs.ErrNotExist) != (want == "") || want != "" && err != nil {
					t.Errorf("%s: got %s, %v", pattern, got, err)
				}
			}
			for _, at := range []string{"run", "w/run"} {
				if _, err := os.Lstat(vm.file(at)); err == nil {
					t.Errorf("a pattern was evaluated: %s is there", at)
				}
			}
		})
	}
}

// A VM that answers a pattern with other names than asked for names no others.
func TestHostileGlob(t *testing.T) {
	roots := []*listing.Root{listing.NewRoot("/w/*"), listing.NewRoot("/w/x*/y")}
	for _, name := range []string{"", "/etc/passwd", "/w/..", "/w/.", "/w/", "/w", "w/a", "/w/a/b", "/v/a", "-x", "/w/x/../y", "/w/../y", "/w/a\n/.."} {
		got, err := replaceGlobs(roots, func(string) ([]string, error) { return []string{name}, nil })
		if err != nil || !slices.Equal(got, roots) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}

// Cat brings one file, whatever is in it, and says what is none.
func TestCat(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, kind)
			content := strings.Repeat("a\x00\n\xff", 1<<18)
			vm.write(t, "w/-f", content)
			vm.write(t, "w/empty", "")
			check(t, os.Symlink("-f", vm.file("w/link")))
			for path, want := range map[string]string{"w/-f": content, "~/w/link": content, "w/-*": content, "w/empty": ""} {
				var out strings.Builder
				done, total := int64(-1), int64(-1)
				err := Cat(t.Context(), vm.remote().Conn, path, &out, func(d, n int64) { done, total = d, n })
				if err != nil || out.String() != want || want != "" && (done != int64(len(want)) || total != done) {
					t.Errorf("%s: %d bytes, told %d of %d, %v", path, out.Len(), done, total, err)
				}
			}
			for path, want := range map[string]string{"w": "it is a folder", "w/*": "3 files match", "w/none": notThere, "w/n*": notThere} {
				var out strings.Builder
				if err := Cat(t.Context(), vm.remote().Conn, path, &out, func(_, _ int64) {}); err == nil || err.Error() != path+": "+want || out.Len() > 0 {
					t.Errorf("%s: %v", path, err)
				}
			}
			full := errors.New("no room")
			var local *LocalError
			if err := Cat(t.Context(), vm.remote().Conn, "w/-f", failing{full}, func(_, _ int64) {}); !errors.As(err, &local) || !errors.Is(err, full) {
				t.Errorf("a reader that goes away: %v", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
