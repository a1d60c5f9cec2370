package keystore

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnsafeFilesAreRefusedWithTheMend(t *testing.T) {
	if !runtimeChecksModes {
		t.Skip("no permission bits on this system")
	}
	id := testID(1)
	chmod := func(rel string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, rel), mode)) }
	}
	link := func(rel string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			p := filepath.Join(dir, rel)
			must(t, os.Rename(p, dir+".moved"))
			must(t, os.Symlink(dir+".moved", p))
		}
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, string)
		kind  Kind
	}{
		"store readable by group":     {chmod("", 0o750), KindTooOpen},
		"keys searchable by others":   {chmod("keys", 0o701), KindTooOpen},
		"VM folder open":              {chmod(vmDir(id), 0o755), KindTooOpen},
		"key readable by group":       {chmod(filepath.Join(vmDir(id), fileKey), 0o640), KindTooOpen},
		"record writable by others":   {chmod(filepath.Join(vmDir(id), fileRecord), 0o602), KindTooOpen},
		"store is a symbolic link":    {link(""), KindSymlink},
		"keys is a symbolic link":     {link("keys"), KindSymlink},
		"VM folder is a link":         {link(vmDir(id)), KindSymlink},
		"key is a symbolic link":      {link(filepath.Join(vmDir(id), fileKey)), KindSymlink},
		"parent writable by everyone": {chmod("..", 0o777), KindTooOpen},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "with space", "pro'file")
			mustPut(t, openTest(t, dir, testOptions()), id, testPEM("a"))
			c.spoil(t, dir)
			err := tryKey(dir, id)
			wantKind(t, err, c.kind)
			e, _ := asError(err)
			out, merr := exec.Command("sh", "-c", e.Next).CombinedOutput()
			if e.Next == "" || merr != nil {
				t.Fatalf("next %q: %v %s", e.Next, merr, out)
			}
			if err := tryKey(dir, id); err != nil && KindOf(err) != KindTooOpen { // the rest of a tree may need one, too
				t.Fatalf("after %q: %v", e.Next, err)
			}
		})
	}
}

func tryKey(dir, id string) error {
	s, err := Open(dir, testOptions())
	if err == nil {
		_, err = s.key(id)
	}
	return err
}

func TestForeignOwnerIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	for _, rel := range []string{"", "keys", vmDir(testID(1)), filepath.Join(vmDir(testID(1)), fileKey)} {
		dir := filepath.Join(t.TempDir(), "profile")
		mustPut(t, openTest(t, dir, testOptions()), testID(1), testPEM("a"))
		must(t, os.Lchown(filepath.Join(dir, rel), 65534, 65534))
		err := tryKey(dir, testID(1))
		wantKind(t, err, KindForeignOwner)
		if e, _ := asError(err); !strings.Contains(e.Next, "chown") {
			t.Fatalf("next %q", e.Next)
		}
	}
}

func TestUmaskDoesNotMatter(t *testing.T) {
	for _, mask := range []string{"000", "077", "777"} {
		dir := filepath.Join(t.TempDir(), "profile")
		if err := childCommand(nil, "umask", dir, mask).Run(); err != nil {
			t.Fatalf("umask %s: %v", mask, err)
		}
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			if mode := info.Mode().Perm(); mode&0o077 != 0 || info.Name() == fileKey && mode != 0o600 {
				t.Errorf("umask %s: %s has mode %o", mask, path, mode)
			}
			return nil
		})
		must(t, err)
	}
}

func TestReadOnlyStoreServesKeys(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s := newTest(t)
	mustPut(t, s, testID(1), testPEM("a"))
	for _, rel := range []string{"locks", "pending", "keys", vmDir(testID(1)), ""} {
		must(t, os.Chmod(s.path(rel), 0o500))
		t.Cleanup(func() { os.Chmod(s.path(rel), 0o700) })
	}
	s = openTest(t, s.Dir(), testOptions())
	wantKey(t, s, testID(1), testPEM("a"))
	_, err := s.PutKey(testID(2), testPEM("b"), KeyInfo{})
	wantKind(t, err, KindReadOnly)
}
