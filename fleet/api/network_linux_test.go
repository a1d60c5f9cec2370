package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestBlackHole: a listener whose queue is full drops further SYNs, as a
// firewall does.
func TestBlackHole(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 4 { // one sits in the queue; a few more for kernels that round up
		if c, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	c, _ := client(t, "http://"+address, withTimeouts(Timeouts{Connect: 80 * time.Millisecond}))
	_, err = c.VMs(t.Context())
	if e := failure(t, err, KindTimeout); e.Stage != StageConnect || e.Sent {
		t.Errorf("got %+v", e)
	}
}

// TestWithoutNetwork runs in a network namespace that has nothing but a
// loopback interface, and that one down.
func TestWithoutNetwork(t *testing.T) {
	if os.Getenv("API_TEST_ALONE") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutNetwork$", "-test.v")
		cmd.Env = append(os.Environ(), "API_TEST_ALONE=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
			t.Skipf("this machine allows no network namespace: %v", err)
		}
		if err != nil || !bytes.Contains(out, []byte("PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, base := range []string{"https://api.vers.ai", "https://192.0.2.1", "https://[2001:db8::1]", "http://127.0.0.1:1"} {
		c, err := New(Config{BaseURL: base, APIKey: func(context.Context) (string, error) { return testKey, nil }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.VMs(t.Context())
		if e := failure(t, err, KindNoNetwork); e.Sent || !e.Kind.Local() {
			t.Errorf("%s: got %+v", base, e)
		}
	}
}
