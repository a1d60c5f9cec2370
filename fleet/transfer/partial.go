package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
)

// openLarge prepares a large file: takes up what an earlier run left, or what
// is in place of an older state, so that only what differs travels.
func (p *pull) openLarge(ctx context.Context, c Conn, t *task) (*large, error) {
	l := &large{t: t, chunk: p.chunkSize(t.it.size)}
	l.cond = sync.NewCond(&l.mu)
	have, state, err := p.resumeBasis(l)
	if err != nil {
		return nil, err
	}
	if err := l.f.Truncate(t.it.size); err != nil {
		l.close()
		return nil, err
	}
	if state == basisOther {
		if have, err = p.sameBlocks(ctx, c, l); isDrop(err) || ctx.Err() != nil {
			l.close()
			return nil, err
		} else if err != nil {
			have = nil
		}
	}
	l.fresh = state == basisNone
	l.have, l.todo = have, have.missing(t.it.size, l.chunk)
	if l.journal, err = startJournal(t.part, &t.it, have); err != nil {
		l.close()
		return nil, err
	}
	if n := have.total(); n > 0 {
		p.c.logf("%s: %d of %d bytes are here already", t.rel, n, t.it.size)
		p.c.have(n, 0)
	}
	return l, nil
}

type basisState int

const (
	basisNone  basisState = iota // nothing to build on
	basisKnown                   // have tells what is (probably) right
	basisOther                   // some other state of the file: compare blocks
)

// resumeBasis opens the unfinished file. A file that grew is probably a log: its old
// content is taken for a true beginning; the verification over the whole file finds out
// if it is not, and then blocks are compared.
func (p *pull) resumeBasis(l *large) (have byteRanges, st basisState, err error) {
	it := &l.t.it
	if l.f, err = l.t.part.Resume(); err != nil {
		return nil, 0, err
	}
	fi, err := l.f.Stat()
	if err != nil {
		l.close()
		return nil, 0, err
	}
	if j, err := l.t.part.OpenJournal(); err == nil {
		ss, same := readJournal(j, it)
		_ = j.Close()
		if same && fi.Size() == it.size {
			return ss, basisKnown, nil
		}
	}
	if !p.tools.canHash() {
		return nil, basisNone, l.f.Truncate(0)
	}
	if fi.Size() > 0 {
		return nil, basisOther, nil
	}
	n, err := p.copyOld(l)
	switch {
	case err != nil:
		l.close()
		return nil, 0, err
	case n > 0 && n < it.size:
		return byteRanges{{0, n}}, basisKnown, nil
	case n > 0 || it.sparse():
		return nil, basisOther, nil
	}
	return nil, basisNone, nil
}

// copyOld copies what is in place into the unfinished file.
func (p *pull) copyOld(l *large) (int64, error) {
	old, err := p.d.Read(l.t.rel)
	if err != nil {
		return 0, nil // nothing there
	}
	defer func() { _ = old.Close() }()
	if fi, err := old.Stat(); err != nil || fi.Size() < rangeBlock {
		return 0, nil
	}
	return io.Copy(l.f, old)
}

// sameBlocks compares the unfinished file with the VM's block by block.
func (p *pull) sameBlocks(ctx context.Context, c Conn, l *large) (byteRanges, error) {
	var same byteRanges
	size := l.t.it.size
	block := deltaBlock(size)
	buf := make([]byte, block)
	err := blockHashes(ctx, c, l.t.name, size, block, func(i int64, sum [32]byte) error {
		off := i * block
		n, err := l.f.ReadAt(buf[:min(block, size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if sha256.Sum256(buf[:n]) == sum {
			same = same.add(byteRange{off, off + int64(n)})
		}
		return nil
	})
	return same, err
}

// chunkSize balances: small enough that connections end together, large enough
// that a command per chunk does not matter.
func (p *pull) chunkSize(size int64) int64 {
	if p.latency.rtt() > lowRTT {
		return min(max(roundUp(size/128, rangeBlock), 1<<20), 4<<20)
	}
	return min(max(roundUp(size/16, rangeBlock), 4<<20), 32<<20)
}

// resumeSmall takes up a small file that an earlier run fetched whole but could
// not have checked: its time is set last.
func (p *pull) resumeSmall(t *task) {
	if p.d.Fresh() {
		return
	}
	fi, err := t.part.Stat()
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != t.it.size || !t.it.sameTime(fi.ModTime()) {
		return
	}
	f, err := t.part.Open()
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if n, sum, err := hashAll(f); err == nil && n == t.it.size {
		t.localSum, t.n, t.stored = sum, n, true
		p.c.have(n, 0)
	}
}
