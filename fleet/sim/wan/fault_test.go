package wan

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestDropAndRefuse(t *testing.T) {
	r := relay(t, echo(t), Options{})
	c := dial(t, r)
	ping(t, c)
	r.Drop()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("after a drop: read %d, %v; want a reset", n, err)
	}
	r.Refuse(true)
	if c, err := net.Dial("tcp", r.Addr); err == nil { // the reset may come even before that is over
		defer c.Close()
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("while refusing: read %d, %v", n, err)
		}
	}
	r.Refuse(false)
	ping(t, dial(t, r))
}

func TestBlackHole(t *testing.T) {
	r := relay(t, echo(t), Options{})
	before := dial(t, r)
	ping(t, before)
	r.BlackHole(true)
	during := dial(t, r)
	_, _ = before.Write([]byte("x"))
	_, _ = during.Write([]byte("x"))
	if !silent(before, 50*time.Millisecond) || !silent(during, 50*time.Millisecond) {
		t.Error("something came out of the black hole")
	}
	r.BlackHole(false)
	if !silent(before, 50*time.Millisecond) {
		t.Error("a lost connection came back")
	}
	ping(t, dial(t, r))
}

func TestPause(t *testing.T) {
	r := relay(t, echo(t), Options{})
	c := dial(t, r)
	ping(t, c)
	r.Pause(true)
	if _, err := c.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	if !silent(c, 50*time.Millisecond) {
		t.Error("bytes passed while paused")
	}
	r.Pause(false)
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "late" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCutAfter(t *testing.T) {
	r := relay(t, echo(t), Options{})
	c, other := dial(t, r), dial(t, r)
	ping(t, c)
	ping(t, other)
	r.CutAfter(100_000)
	go func() { _, _ = c.Write(make([]byte, 1<<20)) }()
	n, err := io.Copy(io.Discard, c)
	if err == nil || n > 100_000 {
		t.Errorf("%d bytes arrived, %v", n, err)
	}
	if _, err := other.Read(make([]byte, 1)); err == nil {
		t.Error("the other connection lives on")
	}
	ping(t, dial(t, r)) // only once
}

func TestCloseEndsEverything(t *testing.T) {
	r := relay(t, echo(t), Options{RTT: time.Hour})
	c := dial(t, r)
	_, _ = c.Write([]byte("x"))
	r.Close() // returns only when no goroutine is left
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection survived")
	}
}
