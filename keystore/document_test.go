package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestDoc(t *testing.T) {
	s := newTest(t)
	d := s.Doc("health").Volatile()
	_, err := d.Read()
	wantKind(t, err, KindNotFound)
	count := func(old []byte) ([]byte, error) {
		n, _ := strconv.Atoi(string(old))
		return strconv.AppendInt(nil, int64(n+1), 10), nil
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			other, err := Open(s.Dir(), testOptions())
			if err != nil {
				t.Error(err)
				return
			}
			for range 10 {
				if err := other.Doc("health").Volatile().Update(context.Background(), count); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if data, err := d.Read(); err != nil || string(data) != "40" {
		t.Fatalf("%q, %v", data, err)
	}
	stop := errors.New("stop")
	if err := d.Update(t.Context(), func([]byte) ([]byte, error) { return []byte("x"), stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	must(t, d.Update(t.Context(), func([]byte) ([]byte, error) { return nil, nil }))
	if data, _ := d.Read(); string(data) != "40" {
		t.Fatalf("%q", data)
	}
	must(t, d.remove(t.Context()))
	must(t, d.remove(t.Context()))
	for _, name := range []string{"", "../x", "store", "inventory", "a/b", ".x", "A"} {
		_, err := s.Doc(name).Read()
		wantKind(t, err, KindInvalid)
		wantKind(t, s.Doc(name).Update(t.Context(), count), KindInvalid)
	}
	wantClean(t, s.Dir())
}

func TestFolder(t *testing.T) {
	s := newTest(t)
	f := s.Folder("journal")
	if names, err := f.Names(); err != nil || len(names) != 0 {
		t.Fatalf("%v, %v", names, err)
	}
	must(t, f.Write(t.Context(), "b", []byte("1")))
	must(t, f.Write(t.Context(), "a", []byte("2")))
	names, err := f.Names()
	if err != nil || fmt.Sprint(names) != "[a b]" {
		t.Fatalf("%v, %v", names, err)
	}
	if data, err := f.Read("a"); err != nil || string(data) != "2" {
		t.Fatalf("%q, %v", data, err)
	}
	must(t, f.Remove(t.Context(), "a"))
	_, err = f.Read("a")
	wantKind(t, err, KindNotFound)
	for _, name := range []string{"keys", "locks", "..", "x.json"} {
		_, err := s.Folder(name).Names()
		wantKind(t, err, KindInvalid)
	}
	wantKind(t, f.Write(t.Context(), "../x", nil), KindInvalid)
	wantClean(t, s.Dir())
}

func TestInventory(t *testing.T) {
	s := newTest(t)
	_, err := s.Inventory()
	wantKind(t, err, KindNotFound)
	now := time.Now().UTC().Truncate(time.Second)
	must(t, s.PutInventory(Inventory{AsOf: now, VMs: []InventoryVM{{ID: testID(1), VMFacts: VMFacts{Labels: map[string]string{"name": "x"}}}}}))
	must(t, s.PutInventory(Inventory{AsOf: now.Add(-time.Hour)})) // came late
	inv, err := s.Inventory()
	if err != nil || len(inv.VMs) != 1 || !inv.AsOf.Equal(now) || inv.VMs[0].Labels["name"] != "x" {
		t.Fatalf("%+v, %v", inv, err)
	}
}

// Two who change the state of one VM each do not undo each other.
func TestUpdateInventory(t *testing.T) {
	s := newTest(t)
	must(t, s.UpdateInventory(func([]InventoryVM) { t.Error("there is none") }))
	now := time.Now().UTC().Truncate(time.Second)
	inv := Inventory{AsOf: now}
	for n := range 8 {
		inv.VMs = append(inv.VMs, InventoryVM{ID: testID(n + 1), VMFacts: VMFacts{State: "running"}})
	}
	must(t, s.PutInventory(inv))
	var wg sync.WaitGroup
	for n := range inv.VMs {
		wg.Go(func() {
			if err := s.UpdateInventory(func(vms []InventoryVM) { vms[n].State = "paused" }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.Inventory()
	must(t, err)
	for _, v := range got.VMs {
		if v.State != "paused" || !got.AsOf.Equal(now) {
			t.Errorf("%+v as of %v", v, got.AsOf)
		}
	}
}

func TestCancelledUpdateLeavesNothing(t *testing.T) {
	s := newTest(t)
	unlock, err := s.lock(t.Context(), "doc.names", true)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.Doc("names").Update(ctx, func([]byte) ([]byte, error) { return []byte("x"), nil })
	wantKind(t, err, KindLocked)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	unlock()
	must(t, s.Doc("names").Update(t.Context(), func([]byte) ([]byte, error) { return []byte("x"), nil }))
}

func TestUnusableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(filepath.Join(file, "profile"), testOptions())
	wantKind(t, err, KindIO)
	_, err = Open(file, testOptions())
	wantKind(t, err, KindSymlink)
	_, err = Open("", testOptions())
	wantKind(t, err, KindInvalid)
	_, err = Open(file, Options{})
	wantKind(t, err, KindInvalid)
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "receipt")
	must(t, WriteFile(path, []byte("one"), 0o644))
	must(t, WriteFile(path, []byte("two"), 0o600))
	data, err := os.ReadFile(path)
	info, serr := os.Stat(path)
	if err != nil || serr != nil || string(data) != "two" || runtimeChecksModes && info.Mode().Perm() != 0o600 {
		t.Fatalf("%q, %v, %v, %v", data, info.Mode(), err, serr)
	}
	wantKind(t, WriteFile(filepath.Join(path, "x"), nil, 0o600), KindIO)
	wantClean(t, filepath.Dir(path))
}

// What a killed WriteFile left goes away with the next one, unless it may still
// be at work; the files of others stay.
func TestWriteFileSweeps(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	stay := []string{tempName(lockFile, "other"), tempName("doc.file", "receipt"), "receipt~", tempName(lockFile, "receipt")}
	for _, name := range append(stay, tempName(lockFile, "receipt")) {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		if name != stay[3] { // which is being written just now
			must(t, os.Chtimes(filepath.Join(dir, name), old, old))
		}
	}
	must(t, WriteFile(filepath.Join(dir, "receipt"), []byte("new"), 0o600))
	left, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	want := append(stay, "receipt")
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("left %q, want %q", names, want)
	}
}

// A folder that cannot be tidied is worth one warning per process, and none
// where nothing can be written anyway.
func TestTidyingWarnsOnce(t *testing.T) {
	var said []string
	o := testOptions()
	o.Warn = func(text string) { said = append(said, text) }
	dir := filepath.Join(t.TempDir(), "profile")
	mustPut(t, openTest(t, dir, testOptions()), testID(1), testPEM("a"))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "pending", lockKeys+"~file"), nil, 0o600)) // names no folder
	s := openTest(t, dir, o)
	mustPut(t, s, testID(2), testPEM("b"))
	mustPut(t, s, testID(3), testPEM("c"))
	if len(said) != 1 || !strings.Contains(said[0], "cleaning up") {
		t.Errorf("warnings %q, want one", said)
	}
	said = nil
	s = openTest(t, t.TempDir()+"/none", o)
	s.warnLeftover(ioError("clean up", dir, syscall.ENOSPC))
	s.warnLeftover(ioError("clean up", dir, syscall.EROFS))
	if len(said) > 0 {
		t.Errorf("warnings %q on a full and a read-only disk", said)
	}
}
