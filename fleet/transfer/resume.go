package transfer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// openLarge prepares a large file: takes up what an earlier run left, or what
// is in place of an older state, so that only what differs travels.
func (p *pull) openLarge(ctx context.Context, c *session.Conn, t *task) (*large, error) {
	l := &large{t: t, chunk: p.chunkSize(t.it.Size)}
	l.cond = sync.NewCond(&l.mu)
	have, state, err := p.resumeBasis(l)
	if err != nil {
		return nil, err
	}
	if err := l.f.Truncate(t.it.Size); err != nil {
		l.close()
		return nil, err
	}
	if state == basisOther {
		if have, err = p.sameBlocks(ctx, c, l); session.IsDrop(err) || ctx.Err() != nil {
			l.close()
			return nil, err
		} else if err != nil {
			have = nil
		}
	}
	l.fresh = state == basisNone
	l.have, l.todo = have, have.missing(t.it.Size, l.chunk)
	if l.journal, err = startJournal(t.part, &t.it, have); err != nil {
		l.close()
		return nil, err
	}
	if n := have.total(); n > 0 {
		p.c.logf("%s: %d of %d bytes are here already", t.rel, n, t.it.Size)
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
		if same && fi.Size() == it.Size {
			return ss, basisKnown, nil
		}
	}
	if !p.tools.CanHash() {
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
	case n > 0 && n < it.Size:
		return byteRanges{{0, n}}, basisKnown, nil
	case n > 0 || it.Sparse():
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
func (p *pull) sameBlocks(ctx context.Context, c *session.Conn, l *large) (byteRanges, error) {
	var same byteRanges
	size := l.t.it.Size
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
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != t.it.Size || !t.it.SameTime(fi.ModTime()) {
		return
	}
	f, err := t.part.Open()
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if n, sum, err := hashAll(f); err == nil && n == t.it.Size {
		t.localSum, t.n, t.stored = sum, n, true
		p.c.have(n, 0)
	}
}

// A journal lies beside the unfinished file of a large file and tells which
// ranges of it have arrived. Its first line tells which state of the VM's file
// that was. It is advice: the verification at the end is over the whole file, and finds
// what a crash made of it.

// maxJournal bounds what is read back, lines.
const maxJournal = 1 << 20

// journalHead identifies a state of the VM's file.
func journalHead(it *listing.Item) string {
	return fmt.Sprintf("v1 %d %d %d %d\n", it.Size, it.Mtime, it.Dev, it.Ino)
}

// readJournal returns the ranges if the journal is about this state.
func readJournal(f io.Reader, it *listing.Item) (byteRanges, bool) {
	r := bufio.NewReader(f)
	head, err := r.ReadString('\n')
	if err != nil || head != journalHead(it) {
		return nil, false
	}
	var ss byteRanges
	for range maxJournal {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a torn last line is not counted
		}
		var s byteRange
		if n, _ := fmt.Sscanf(line, "%d %d\n", &s.off, &s.end); n != 2 || s.off < 0 || s.end > it.Size || s.off >= s.end {
			break
		}
		ss = ss.add(s)
	}
	return ss, true
}

// startJournal begins a journal anew.
func startJournal(part dest.Part, it *listing.Item, ss byteRanges) (*os.File, error) {
	f, err := part.CreateJournal()
	if err != nil {
		return nil, err
	}
	text := journalHead(it)
	for _, s := range ss {
		text += fmt.Sprintf("%d %d\n", s.off, s.end)
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
