package keystore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFoundKeys(t *testing.T) {
	s := newTest(t)
	tmp := t.TempDir()
	must(t, os.Chmod(tmp, os.ModeSticky|0o777))
	dir := filepath.Join(tmp, adoptFolder)
	must(t, os.Mkdir(dir, 0o700))
	write := func(name string, data []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, data, mode))
		must(t, os.Chmod(path, mode))
		return path
	}
	const newer, recursive = "e0000000-0000-4000-8000-000000000001", "f1000000-0000-4000-8000-000000000001"
	known := []string{testID(2), testID(3), "d0000000-0000-4000-8000-000000000001", newer, recursive}
	write("vers-"+newer[:16]+".pem", testPEM("e"), 0o600)
	write("vers-rlm-"+recursive[:12]+".pem", testPEM("f1"), 0o600)
	mustPut(t, s, testID(4), testPEM("4"))
	mustPut(t, s, testID(5), testPEM("other"))
	write(testID(1)+".key", testPEM("1"), 0o600)
	write("vers-d0000000-000.pem", testPEM("d"), 0o644)
	write("vers-"+testID(2)[:12]+".pem", testPEM("2"), 0o600)
	write("vers-ffffffff-fff.pem", testPEM("f"), 0o600)
	write(testID(4)+".key", testPEM("4"), 0o600)
	write(testID(5)+".key", testPEM("5"), 0o600)
	write(testID(6)+".key", []byte("<html>"), 0o600)
	write(testID(7)+".key", testPEM("7"), 0o622)
	write("notes.txt", []byte("x"), 0o600)
	must(t, os.Symlink(write("real", testPEM("8"), 0o600), filepath.Join(dir, testID(8)+".key")))
	must(t, os.Link(write("linked", testPEM("9"), 0o600), filepath.Join(dir, testID(9)+".key")))
	want := map[string]string{
		testID(1) + ".key": "", "vers-d0000000-000.pem": "", "vers-" + newer[:16] + ".pem": "", "vers-rlm-" + recursive[:12] + ".pem": "", testID(4) + ".key": "",
		"vers-" + testID(2)[:12] + ".pem": "several VMs", "vers-ffffffff-fff.pem": "no VM that is known",
		testID(5) + ".key": "another key", testID(6) + ".key": "not a usable", testID(7) + ".key": "write to it",
		testID(8) + ".key": "symbolic link", testID(9) + ".key": "second name",
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(write(testID(10)+".key", testPEM("10"), 0o600), 65534, 65534))
		want[testID(10)+".key"] = "another user"
	}
	found := s.Adoptable(AdoptOptions{TempDirs: []string{tmp, tmp, "/nonexistent"}, KnownIDs: known})
	if len(found) != len(want) {
		t.Fatalf("found %d, want %d: %+v", len(found), len(want), found)
	}
	for _, k := range found {
		part, ok := want[filepath.Base(k.Path)]
		if !ok || part == "" && k.Refused != "" || !strings.Contains(k.Refused, part) {
			t.Errorf("%s: refused %q, want %q", k.Path, k.Refused, part)
		}
	}
	adopted, err := s.Adopt(found)
	must(t, err)
	if len(adopted) != 4 {
		t.Fatalf("adopted %v", adopted)
	}
	wantKey(t, s, newer, testPEM("e"))
	wantKey(t, s, recursive, testPEM("f1"))
	wantKey(t, s, testID(1), testPEM("1"))
	wantKey(t, s, testID(5), testPEM("other"))
	rec, err := s.Record(testID(1))
	if err != nil || !rec.ProvedAt.IsZero() || rec.Source != "found:"+filepath.Join(dir, testID(1)+".key") {
		t.Fatalf("record %+v, %v", rec, err)
	}
}

func TestFoundRefusesFoldersOthersCanWriteTo(t *testing.T) {
	if !runtimeChecksModes {
		t.Skip("no permission bits on this system")
	}
	for name, spoil := range map[string]func(t *testing.T, tmp, dir string){
		"tmp without sticky bit": func(t *testing.T, tmp, _ string) { must(t, os.Chmod(tmp, 0o777)) },
		"folder for everybody":   func(t *testing.T, _, dir string) { must(t, os.Chmod(dir, os.ModeSticky|0o777)) },
		"folder is a link": func(t *testing.T, _, dir string) {
			must(t, os.Rename(dir, dir+"2"))
			must(t, os.Symlink(dir+"2", dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			dir := filepath.Join(tmp, adoptFolder)
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.WriteFile(filepath.Join(dir, testID(1)+".key"), testPEM("1"), 0o600))
			spoil(t, tmp, dir)
			s := newTest(t)
			found := s.Adoptable(AdoptOptions{TempDirs: []string{tmp}})
			if len(found) != 1 || found[0].Refused == "" {
				t.Fatalf("found %+v", found)
			}
			if adopted, err := s.Adopt(found); err != nil || len(adopted) != 0 {
				t.Fatalf("adopted %v, %v", adopted, err)
			}
		})
	}
}
