//go:build unix

package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A FIFO keeps nobody waiting, whoever has it open or not.
func TestReadFileOfAFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	if _, err := ReadFile(fifo, 4); !errors.Is(err, errNotRegular) {
		t.Errorf("%v", err)
	}
}

func TestWriteFileIntoAFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	err := WriteFile(fifo, []byte("x"), 0o600)
	if wantKind(t, err, KindIO); !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("%v", err)
	}
	r, err := os.OpenFile(fifo, os.O_RDWR, 0)
	must(t, err)
	defer r.Close()
	must(t, WriteFile(fifo, []byte("text"), 0o600))
	got := make([]byte, 4)
	if _, err := r.Read(got); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := os.Lstat(fifo); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("the FIFO was replaced: %v %v", info, err)
	}
}

// As root this would otherwise break the machine, so it is tried with a device
// of our own.
func TestWriteFileIntoADevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the numbers of /dev/null are Linux's")
	}
	null := filepath.Join(t.TempDir(), "null")
	if err := syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		t.Skipf("cannot make a device: %v", err)
	}
	must(t, WriteFile(null, []byte("x"), 0o600))
	if info, err := os.Lstat(null); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Errorf("the device was replaced: %v %v", info, err)
	}
}

// What a shell opened for >(command) or > file is written to, not replaced.
func TestWriteFileIntoAnOpenFile(t *testing.T) {
	if _, err := os.Stat("/dev/fd"); err != nil {
		t.Skip("no /dev/fd")
	}
	r, w, err := os.Pipe()
	must(t, err)
	must(t, WriteFile(fmt.Sprintf("/dev/fd/%d", w.Fd()), []byte("piped"), 0o600))
	w.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "piped" {
		t.Errorf("%q, %v", got, err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("before ")
	must(t, err)
	must(t, WriteFile(fmt.Sprintf("/dev/fd/%d", f.Fd()), []byte("after"), 0o600))
	if got, err := os.ReadFile(f.Name()); err != nil || string(got) != "before after" {
		t.Errorf("%q, %v", got, err)
	}
}
