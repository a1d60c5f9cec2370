package wan

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
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
	queue         *queue
}

func newFlow(p *pipe, src, dst *net.TCPConn, l *link, notBefore time.Time) *flow {
	return &flow{
		pipe: p, src: src, dst: dst, link: l, notBefore: notBefore,
		window: newWindow(p.relay.opt.RTT, buffer), queue: newQueue(buffer, p.done),
	}
}

func (f *flow) take() {
	buf := make([]byte, pieceSize)
	for {
		n, err := f.src.Read(buf)
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
		if !ok || !f.pipe.sleepUntil(next.due) {
			return
		}
		if next.end != nil {
			f.finish(next.end)
			return
		}
		f.pipe.turns.heard(f.towardsClient, next.turn)
		if _, err := f.dst.Write(next.data); err != nil {
			f.pipe.cut()
			return
		}
	}
}

func (f *flow) finish(end error) {
	if !errors.Is(end, io.EOF) || f.dst.CloseWrite() != nil {
		f.pipe.cut()
	}
}

// queue holds the pieces under way in one direction, bounded in bytes.
type queue struct {
	limit  int64
	done   <-chan struct{}
	mu     sync.Mutex
	pieces []piece
	bytes  int64
	more   chan struct{} // holds a token if get may find something
	room   chan struct{} // holds a token if put may find room
}

func newQueue(limit int64, done <-chan struct{}) *queue {
	return &queue{limit: limit, done: done, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put appends a piece, waiting for room; false means the connection was cut.
func (q *queue) put(p piece) bool {
	for !q.tryPut(p) {
		select {
		case <-q.room:
		case <-q.done:
			return false
		}
	}
	signal(q.more)
	return true
}

func (q *queue) tryPut(p piece) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > 0 && q.bytes+int64(len(p.data)) > q.limit {
		return false
	}
	q.pieces = append(q.pieces, p)
	q.bytes += int64(len(p.data))
	return true
}

// get removes the oldest piece, waiting for one; false means the connection was cut.
func (q *queue) get() (piece, bool) {
	for {
		if p, ok := q.tryGet(); ok {
			signal(q.room)
			return p, true
		}
		select {
		case <-q.more:
		case <-q.done:
			return piece{}, false
		}
	}
}

func (q *queue) tryGet() (piece, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pieces) == 0 {
		return piece{}, false
	}
	p := q.pieces[0]
	q.pieces[0] = piece{} // let go of the bytes
	q.pieces = q.pieces[1:]
	q.bytes -= int64(len(p.data))
	return p, true
}

// signal leaves a token unless one is there already.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
