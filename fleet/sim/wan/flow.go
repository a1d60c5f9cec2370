package wan

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// pieceSize is what is read at once: several TLS records, far less than a window.
const pieceSize = 64 << 10

// piece is a run of bytes under way, or the end of the stream.
type piece struct {
	data []byte
	turn int // of the talk that these bytes belong to
	due  time.Time
	end  error // io.EOF is a half-close, anything else a reset
}

// flow is one direction of a pipe: take reads and stamps, give waits and writes.
type flow struct {
	pipe          *pipe
	src, dst      *net.TCPConn
	link          *link
	window        *window
	notBefore     time.Time
	towardsClient bool
	count         *atomic.Int64
	queue         *queue
}

func newFlow(p *pipe, src, dst *net.TCPConn, l *link, notBefore time.Time) *flow {
	opt := p.relay.opt
	return &flow{
		pipe: p, src: src, dst: dst, link: l, notBefore: notBefore,
		window: newWindow(opt.RTT, opt.Window), queue: newQueue(opt.Window, p.done),
	}
}

func (f *flow) take() {
	buf := make([]byte, pieceSize)
	for {
		n, err := f.src.Read(buf)
		if f.pipe.lost.Load() {
			<-f.pipe.done // reading on would tell the sender that bytes arrive
			return
		}
		if n > 0 && !f.stamp(buf[:n]) {
			return
		}
		if err != nil {
			f.queue.put(piece{end: err, due: f.now().Add(f.pipe.relay.opt.RTT / 2)})
			return
		}
	}
}

// stamp puts data on its way, no earlier than window and link allow. It does
// not run ahead of the clock, so that connections share the link fairly.
func (f *flow) stamp(data []byte) bool {
	turn := f.pipe.turns.said(f.towardsClient)
	for len(data) > 0 {
		at, n := f.window.admit(f.now(), len(data))
		if !f.pipe.sleepUntil(at) {
			return false
		}
		left := f.link.send(at, n)
		f.window.sent(left, n)
		if !f.queue.put(piece{data: bytes.Clone(data[:n]), turn: turn, due: left.Add(f.pipe.relay.opt.RTT / 2)}) {
			return false
		}
		if !f.pipe.sleepUntil(left) {
			return false
		}
		data = data[n:]
	}
	return true
}

func (f *flow) now() time.Time {
	if now := time.Now(); now.After(f.notBefore) {
		return now
	}
	return f.notBefore
}

func (f *flow) give() {
	for {
		next, ok := f.queue.get()
		if !ok || !f.pipe.sleepUntil(next.due) || !f.passable() {
			return
		}
		if next.end != nil {
			f.finish(next.end)
			return
		}
		f.pipe.turns.heard(f.towardsClient, next.turn)
		if !f.write(next.data) {
			return
		}
	}
}

// passable waits out a pause and tells whether bytes may pass at all.
func (f *flow) passable() bool {
	for {
		if f.pipe.lost.Load() {
			<-f.pipe.done
			return false
		}
		resume := f.pipe.relay.pausing()
		if resume == nil {
			return true
		}
		select {
		case <-resume:
		case <-f.pipe.done:
			return false
		}
	}
}

func (f *flow) finish(end error) {
	if !errors.Is(end, io.EOF) || f.dst.CloseWrite() != nil {
		f.pipe.cut()
	}
}

func (f *flow) write(data []byte) bool {
	cut := false
	if f.towardsClient {
		var n int
		n, cut = f.pipe.relay.allow(len(data))
		data = data[:n]
	}
	n, err := f.dst.Write(data)
	f.count.Add(int64(n))
	if cut {
		f.pipe.relay.Drop()
		return false
	}
	if err != nil {
		f.pipe.cut()
		return false
	}
	return true
}
