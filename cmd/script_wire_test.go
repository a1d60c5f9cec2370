package cmd

import (
	"io"
	"net"
	"strconv"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// wire passes connections on and counts the bytes that come back.
type wire struct {
	l    net.Listener
	to   string
	came atomic.Int64
}

// wireKey is where a script keeps its wire.
type wireKey struct{}

func newWire(to string) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{l: l, to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(c)
		}
	}()
	return w, nil
}

func (w *wire) pass(near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, io.TeeReader(far, w))
}

// Write counts.
func (w *wire) Write(p []byte) (int, error) {
	w.came.Add(int64(len(p)))
	return len(p), nil
}

// scriptWire serves the script command wire:
//
//	wire reset    counts the bytes that come from the VMs from 0 again
//	wire max N    no more than N came
//	wire min N    no fewer than N came
func scriptWire(ts *testscript.TestScript, neg bool, args []string) {
	w, ok := ts.Value(wireKey{}).(*wire)
	if !ok || neg || len(args) == 0 {
		ts.Fatalf("usage: wire reset|max N|min N")
	}
	if args[0] == "reset" {
		w.came.Store(0)
		return
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	came := w.came.Load()
	ts.Logf("%d bytes came from the VMs", came)
	if args[0] == "max" && came > n || args[0] == "min" && came < n {
		ts.Fatalf("%d bytes came from the VMs, want %s %d", came, args[0], n)
	}
}
