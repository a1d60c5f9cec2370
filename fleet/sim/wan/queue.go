package wan

import "sync"

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
