package simtest

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// BlackHole makes an address swallow every attempt to connect without an
// answer, as a firewall does: a listener whose queue is full.
func BlackHole(t testing.TB, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	for range 16 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond)
		if err != nil {
			return l.Addr().String()
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue is not full after 16 connections")
	return ""
}
