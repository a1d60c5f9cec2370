package session

import (
	"io"
	"sync"
)

// pipe carries a command's answer from the connection to the one who reads it.
// Unlike io.Pipe it holds some of it, so that the two seldom wait for each other.
type pipe struct {
	mu   sync.Mutex
	cond *sync.Cond
	size int
	ring []byte // made with the first byte
	from int    // where what is held begins
	n    int    // bytes held
	end  error  // no more will be written; what the reader gets then
	left bool   // nobody reads any more
}

func newPipe(size int) *pipe {
	p := &pipe{size: size}
	p.cond = sync.NewCond(&p.mu)
	return p
}

// Write waits while the pipe is full.
func (p *pipe) Write(b []byte) (done int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ring == nil {
		p.ring = make([]byte, p.size)
	}
	for !p.left && p.end == nil {
		if done == len(b) {
			return done, nil
		}
		if p.n == p.size {
			p.cond.Wait()
			continue
		}
		at := (p.from + p.n) % p.size
		m := copy(p.ring[at:min(p.size, at+p.size-p.n)], b[done:])
		p.n += m
		done += m
		p.cond.Signal()
	}
	return done, io.ErrClosedPipe
}

// Read waits while the pipe is empty. A writer who waits is woken when there is
// room for a good deal, not for a little.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.n == 0 && p.end == nil && !p.left {
		p.cond.Wait()
	}
	if p.left {
		return 0, io.ErrClosedPipe
	}
	if p.n == 0 {
		return 0, p.end
	}
	m := copy(b, p.ring[p.from:min(p.size, p.from+p.n)])
	p.from = (p.from + m) % p.size
	if p.n -= m; p.n <= p.size/2 {
		p.cond.Signal()
	}
	return m, nil
}

// close says that no more will be written; what is held can still be read, then
// comes err.
func (p *pipe) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = err
	p.cond.Broadcast()
}

// leave says that nobody reads any more.
func (p *pipe) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	p.cond.Broadcast()
}
