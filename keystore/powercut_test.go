//go:build linux

package keystore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// ext4Shutdown is EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32) of the kernel's
// fs/ext4/ext4.h: the file system stops at once. With noLogFlush nothing that
// was not synced reaches the disk, as when the power fails.
const (
	ext4Shutdown = 0x8004587d
	noLogFlush   = 2
)

// disk is an ext4 file system in a file.
type disk struct{ image, at string }

// ownMounts runs the test once more, in a mount namespace of its own, and reports
// whether this is that run. In a namespace that others share, one that another
// process makes meanwhile keeps what is mounted alive.
func ownMounts(t *testing.T) bool {
	t.Helper()
	const own = "VERS_FLEET_TEST_OWN_MOUNTS"
	if os.Getenv(own) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system; the order of writes is proved by TestOrderOnDisk")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=0")
	cmd.Env = append(os.Environ(), own+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("no mount namespace can be made here: %v", err)
	case err != nil:
		t.Fatalf("%s", out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	return false
}

func newDisk(t *testing.T) disk {
	t.Helper()
	mkfs := needTool(t, "mkfs.ext4")
	d := disk{filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "mnt")}
	must(t, os.Mkdir(d.at, 0o700))
	must(t, os.WriteFile(d.image, nil, 0o600))
	must(t, os.Truncate(d.image, 24<<20))
	if out, err := exec.Command(mkfs, "-q", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs: %v %s", err, out)
	}
	return d
}

func (d disk) mount(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		t.Skipf("loop devices cannot be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", d.at).Run() })
}

func (d disk) unmount(t *testing.T) {
	t.Helper()
	mounted := true
	for range 500 {
		mounted = mounted && exec.Command("umount", d.at).Run() != nil
		if !mounted && !d.attached(t) {
			return
		}
		time.Sleep(10 * time.Millisecond) // the killed writer's files close
	}
	t.Fatal("the file system stays busy")
}

// attached reports whether the kernel still has the image: it may let go of it
// later, and the next mount would find the file system still without power.
func (d disk) attached(t *testing.T) bool {
	t.Helper()
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	must(t, err)
	for _, loop := range loops {
		if file, err := os.ReadFile(loop); err == nil && strings.TrimSpace(string(file)) == d.image {
			return true
		}
	}
	return false
}

// cut is the power failure.
func (d disk) cut(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.at)
	must(t, err)
	defer f.Close()
	flags := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		t.Skipf("the kernel cannot simulate a power cut: %v", errno)
	}
}

// TestPowerCut cuts the power of a writer at random moments: no acknowledged
// key may be lost, and no other state than a whole one may be left.
func TestPowerCut(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	d := newDisk(t)
	state, next := acked{-1, -1, -1}, 0
	for i := range torture(4, 1000) {
		d.mount(t)
		dir := filepath.Join(d.at, "profile")
		cmd, out := startChild(t, "rewrite-quietly", dir, fmt.Sprint(next))
		var timer *time.Timer
		off := make(chan struct{})
		for out.Scan() {
			state.note(out.Text())
			if timer == nil {
				timer = time.AfterFunc(time.Duration(rand.Int64N(int64(60*time.Millisecond))), func() {
					defer close(off)
					d.cut(t)
				})
			}
		}
		<-off
		cmd.Process.Kill()
		cmd.Wait()
		d.unmount(t)
		d.mount(t)
		next = state.verify(t, dir, fmt.Sprintf("cut %d", i))
		d.unmount(t)
	}
}

// TestNotSyncedIsLost makes sure that the simulated power cut really drops
// what was not synced; without that TestPowerCut would prove nothing.
func TestNotSyncedIsLost(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	d := newDisk(t)
	d.mount(t)
	must(t, os.WriteFile(filepath.Join(d.at, "unsynced"), []byte("x"), 0o600))
	d.cut(t)
	d.unmount(t)
	d.mount(t)
	if _, err := os.Stat(filepath.Join(d.at, "unsynced")); err == nil {
		t.Fatal("an unsynced file survived")
	}
	d.unmount(t)
}

// TestFullDisk fills a small file system: the write fails honestly, what was
// there stays, and after making room it goes on.
func TestFullDisk(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	at := filepath.Join(t.TempDir(), "mnt")
	must(t, os.Mkdir(at, 0o700))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", at).CombinedOutput(); err != nil {
		t.Skipf("tmpfs cannot be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", at).Run() })
	s := openTest(t, filepath.Join(at, "profile"), testOptions())
	n := 0
	var err error
	for ; err == nil; n++ {
		_, err = s.PutKey(testID(n), testPEM(testID(n)), KeyInfo{Source: "api"})
	}
	wantKind(t, err, KindFull)
	s = openTest(t, s.Dir(), testOptions())
	for i := range n - 1 {
		wantKey(t, s, testID(i), testPEM(testID(i)))
	}
	_, err = s.PutKey(testID(0), testPEM("changed"), KeyInfo{Source: "api"})
	wantKind(t, err, KindFull)
	wantKey(t, s, testID(0), testPEM(testID(0)))
	wantClean(t, s.Dir())
	for i := range 5 {
		must(t, s.Remove(testID(n-2-i)))
	}
	mustPut(t, s, testID(0), testPEM("changed"))
	wantKey(t, s, testID(0), testPEM("changed"))
}
