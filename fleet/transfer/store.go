package transfer

import (
	"crypto/sha256"
	"errors"
	"io"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// errNoRoom ends a pull when the disk here is full.
var errNoRoom = errors.New("no room left on the disk")

// storeFile writes a small file's content from r (at most limit bytes) into
// the partial folder, with its mode, and last its time: that marks it complete.
// buf is scratch space. An error in reading is returned as readError.
func (p *pull) storeFile(t *task, r io.Reader, limit int64, buf []byte) error {
	if err := p.storeContent(t, io.LimitReader(r, limit), buf); err != nil {
		return err
	}
	p.c.have(t.n, t.n)
	return nil
}

// storeContent is storeFile for content that is not counted as moved.
func (p *pull) storeContent(t *task, r io.Reader, buf []byte) error {
	f, err := t.part.Create(t.it.Perm())
	if err != nil {
		return err
	}
	n, sum, err := copyHash(f, r, buf, t.it.Sparse(), t.it.DiskSize()+sparseSlack)
	if err != nil {
		f.Discard()
		return err
	}
	if err := f.Finish(t.it.Perm(), t.it.ModTime()); err != nil {
		return err
	}
	t.localSum, t.n = sum, n
	return nil
}

// readError marks an error as the other end's.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// copyHash writes r to f and hashes it. With holes, blocks of zeros become
// holes, and what is not may be at most room bytes.
func copyHash(f *dest.File, r io.Reader, buf []byte, holes bool, room int64) (n int64, sum [32]byte, err error) {
	h := sha256.New()
	for {
		m, err := fill(r, buf)
		if m > 0 {
			h.Write(buf[:m])
			if !holes || !allZero(buf[:m]) {
				if room -= int64(m); holes && room < 0 {
					return n, sum, errNotSparse
				}
				if _, err := f.WriteAt(buf[:m], n); err != nil {
					return n, sum, err
				}
			}
			n += int64(m)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, sum, readError{err}
		}
	}
	if holes {
		if err := f.Truncate(n); err != nil {
			return n, sum, err
		}
	}
	return n, [32]byte(h.Sum(nil)), nil
}

// hashAll hashes a file here.
func hashAll(r io.Reader) (n int64, sum [32]byte, err error) {
	h := sha256.New()
	n, err = io.Copy(h, r)
	return n, [32]byte(h.Sum(nil)), err
}

// fill reads until buf is full or r fails; unlike io.ReadFull it leaves the
// error as it is, so that an end can be told from a broken stream.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// commit puts a checked file in its place.
func (p *pull) commit(t *task) {
	rel := t.rel
	if t.inPlace {
		if err := p.d.SetMeta(rel, t.it.Perm(), t.it.ModTime()); err != nil {
			p.localFailure(rel, err)
		} else {
			p.c.same(&t.it, hexString(t.vmSum))
		}
	} else if err := t.part.Commit(); err != nil {
		p.localFailure(rel, err)
		t.part.Remove()
	} else {
		sha := ""
		if t.hasVMSum {
			sha = hexString(t.vmSum)
		}
		t.it.Size = t.n
		p.c.file(&t.it, sha)
	}
	p.q.done()
}

// giveUp is the other outcome of a task.
func (p *pull) giveUp(t *task, kind FailKind, reason string, err error) {
	p.c.fail(t.rel, kind, reason, err)
	p.q.done()
}

// localFailure reports trouble on this machine; a full disk ends the pull,
// everything else only this file.
func (p *pull) localFailure(rel string, err error) {
	var bad *dest.NameError
	switch {
	case dest.IsFull(err):
		p.c.fail(rel, FailLocal, "no room left on the disk", err)
		p.q.stop(&LocalError{p.d.Path(), errors.Join(errNoRoom, err)})
	case errors.Is(err, dest.ErrInTheWay), errors.As(err, &bad):
		p.c.fail(rel, FailRefused, err.Error(), err)
	default:
		p.c.fail(rel, FailLocal, "cannot be written here: "+session.CleanLine(err.Error()), err)
	}
}
