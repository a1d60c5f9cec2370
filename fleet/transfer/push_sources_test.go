//go:build unix

package transfer

import (
	"os"
	"path/filepath"
	"testing"
)

// A source that is a symlink is what it leads to; once a link to a folder sent
// nothing, and said that all was well.
func TestPushNamedLinks(t *testing.T) {
	here := sources(t, map[string]string{"folder/file": "f", "folder/sub/deep": "d"})
	check(t, os.Symlink("file", filepath.Join(here, "folder/inner")))
	check(t, os.Symlink("folder", filepath.Join(here, "link")))
	check(t, os.Symlink("folder/file", filepath.Join(here, "single")))
	for asked, files := range map[string]map[string]string{
		"link":   {"in/link/file": "f", "in/link/sub/deep": "d"},
		"link/":  {"in/file": "f", "in/sub/deep": "d"},
		"single": {"in": "f"},
	} {
		for _, kind := range []string{"gnu", "sftp"} {
			vm := newVM(t, kind)
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/" + asked}, Dest: "in"})
			check(t, err)
			if sum.Failed != 0 || sum.Files == 0 {
				t.Errorf("%s, %s: %+v", asked, kind, sum)
			}
			for name, want := range files {
				reads(t, vm.file(name), want)
			}
		}
	}
}

// Two sources may be one file: by way of links, or of its names.
func TestPushSourcesOfOneFile(t *testing.T) {
	here := sources(t, map[string]string{"folder/file": "f"})
	check(t, os.Symlink("folder", filepath.Join(here, "link")))
	check(t, os.Symlink("folder/file", filepath.Join(here, "single")))
	check(t, os.Link(filepath.Join(here, "folder/file"), filepath.Join(here, "second")))
	for _, kind := range []string{"gnu", "busybox", "bare", "sftp"} {
		vm := newVM(t, kind)
		sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/link", here + "/single", here + "/second"}, Dest: "in/"})
		check(t, err)
		if sum.Failed != 0 {
			t.Errorf("%s: %+v", kind, sum)
		}
		for _, name := range []string{"in/link/file", "in/single", "in/second"} {
			reads(t, vm.file(name), "f")
		}
	}
}

// A dry run of a push changes nothing on the VM.
func TestPushDryRun(t *testing.T) {
	here := sources(t, map[string]string{"a": "a", "sub/b": "b"})
	for _, kind := range []string{"gnu", "bare", "busybox", "sftp"} {
		vm := newVM(t, kind)
		sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/"}, Dest: "in/deep/", DryRun: true})
		check(t, err)
		if sum.Files != 2 || sum.Dirs != 1 {
			t.Errorf("%s: %+v", kind, sum)
		}
		if left, _ := os.ReadDir(vm.home); len(left) > 0 {
			t.Errorf("%s: %q was made", kind, left)
		}
	}
}
