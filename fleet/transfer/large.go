package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// large is a file that is fetched in chunks, perhaps over several connections.
// Safe for concurrent use.
type large struct {
	t     *task
	f     *os.File
	fresh bool // the file was empty: zeros need not be written
	chunk int64

	dense atomic.Int64 // bytes written that are no holes

	mu        sync.Mutex
	cond      *sync.Cond
	journal   *os.File
	have      byteRanges
	todo      []byteRange
	requested int // chunks on their way
	faults    int // chunks that did not come as promised
	err       error
}

// next hands out a chunk.
func (l *large) next() (byteRange, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.todo) == 0 || l.err != nil {
		return byteRange{}, false
	}
	s := l.todo[0]
	l.todo = l.todo[1:]
	l.requested++
	return s, true
}

// waiting is the bytes that no connection has taken yet.
func (l *large) waiting() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for _, s := range l.todo {
		n += s.len()
	}
	return n
}

// write puts bytes in place.
func (l *large) write(p []byte, off int64) error {
	hole := (l.fresh || l.t.it.Sparse()) && allZero(p)
	if !l.fresh || !hole {
		if l.t.it.Sparse() && !hole && l.dense.Add(int64(len(p))) > l.t.it.DiskSize()+sparseSlack {
			return errNotSparse
		}
		if _, err := l.f.WriteAt(p, off); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.have = l.have.add(byteRange{off, off + int64(len(p))})
	l.cond.Broadcast()
	return nil
}

// note writes a finished range to the journal. Losing a note costs only time.
func (l *large) note(s byteRange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.journal != nil && s.len() > 0 {
		_, _ = fmt.Fprintf(l.journal, "%d %d\n", s.off, s.end)
	}
}

// finished takes a chunk back: rest is what did not come, strike tells that
// the VM is to blame.
func (l *large) finished(rest byteRange, strike bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requested--
	if rest.len() > 0 {
		rest.off -= rest.off % rangeBlock
		l.todo = append([]byteRange{rest}, l.todo...)
	}
	if strike {
		if l.faults++; l.faults > 2 && l.err == nil {
			l.err = errShort
		}
	}
	l.cond.Broadcast()
}

// errShort: the VM sent something else than the bytes of the file as listed.
var errShort = errors.New("the file is not as it was listed")

// fail gives the file up.
func (l *large) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	l.cond.Broadcast()
}

// drain waits until no chunk waits or travels.
func (l *large) drain(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ctx.Err() == nil && (l.requested > 0 || (len(l.todo) > 0 && l.err == nil)) {
		l.cond.Wait()
	}
	return errors.Join(ctx.Err(), l.err)
}

// wakeOn wakes the waiters when ctx ends.
func (l *large) wakeOn(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cond.Broadcast()
	})
}

// hashLocal computes the SHA-256 of the file here, following what arrives.
func (l *large) hashLocal(ctx context.Context) (sum [32]byte, err error) {
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for off := int64(0); off < l.t.it.Size; {
		upTo, err := l.waitFor(ctx, off)
		if err != nil {
			return sum, err
		}
		for off < upTo {
			n, err := l.f.ReadAt(buf[:min(int64(len(buf)), upTo-off)], off)
			if n == 0 {
				if err == nil || errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return sum, err
			}
			h.Write(buf[:n])
			off += int64(n)
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

// waitFor waits until the bytes behind off are there.
func (l *large) waitFor(ctx context.Context, off int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.have.prefix() <= off {
		if err := errors.Join(ctx.Err(), l.err); err != nil {
			return 0, err
		}
		l.cond.Wait()
	}
	return l.have.prefix(), nil
}

// refetch asks for the file anew, except for what is known to be right.
func (l *large) refetch(good byteRanges) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.have = good
	l.todo = good.missing(l.t.it.Size, l.chunk)
	l.fresh = false
	l.cond.Broadcast()
}

// close lets go of the files.
func (l *large) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.f.Close()
	if l.journal != nil {
		_ = l.journal.Close()
		l.journal = nil
	}
}

// allZero tells whether p is a hole's content.
func allZero(p []byte) bool {
	for len(p) >= 8 {
		if p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] != 0 {
			return false
		}
		p = p[8:]
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
