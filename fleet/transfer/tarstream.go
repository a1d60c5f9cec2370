package transfer

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// errUnasked ends a stream in which too much comes that was not asked for.
var errUnrequested = errors.New("the VM sends what was not asked for")

const (
	maxUnasked = 16       // entries per stream
	maxDrain   = 1 << 20  // bytes of an unwanted entry that are read to get past it
	maxGrown   = 64 << 20 // the same, of a file that grew since it was listed
)

// readTar reads the stream of archives.
func (st *stream) readTar() error {
	if err := st.data.Ready(); err != nil {
		return err
	}
	in := st.data.Out
	if st.zstd {
		dec, err := st.data.Unpacked()
		if err != nil {
			return err
		}
		defer func() { _ = dec.Close() }()
		in = bufio.NewReaderSize(dec, 128<<10)
	}
	buf := make([]byte, 128<<10)
	for {
		more, err := nextArchive(in)
		if err != nil || !more {
			return st.data.End(err)
		}
		if err := st.readArchive(tar.NewReader(in), buf); err != nil {
			return err
		}
	}
}

// nextArchive skips the zeros that end an archive.
func nextArchive(in *bufio.Reader) (more bool, err error) {
	for range 4096 { // 2 MiB; tar pads to at most 512 blocks
		block, err := in.Peek(512)
		if len(block) == 0 {
			return false, err
		}
		if !allZero(block) {
			return true, nil
		}
		_, _ = in.Discard(len(block))
	}
	return false, session.BadAnswer{Err: errUnrequested}
}

// readArchive reads one archive to its end.
func (st *stream) readArchive(tr *tar.Reader, buf []byte) error {
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return st.data.End(err)
		}
		if err := st.entry(hdr, tr, buf); err != nil {
			return err
		}
	}
}

// entry handles one entry; an error ends the stream.
func (st *stream) entry(hdr *tar.Header, tr *tar.Reader, buf []byte) error {
	t := st.arrived(hdr.Name)
	if t == nil {
		return st.unasked(hdr, tr)
	}
	if hdr.Typeflag != tar.TypeReg && hdr.Typeflag != tar.TypeGNUSparse {
		return st.drain(tr, hdr.Size) // no longer a file; it is retried by itself
	}
	err := st.p.storeFile(t, tr, min(hdr.Size, t.it.Size), buf)
	var re readError
	switch {
	case errors.As(err, &re):
		return st.data.End(re.error)
	case errors.Is(err, errNotSparse):
		st.drop(t)
		st.p.giveUp(t, FailRefused, err.Error(), err)
		return session.BadAnswer{Err: err}
	case err != nil:
		st.drop(t)
		st.p.localFailure(t.rel, err)
		st.p.q.done()
		return st.drain(tr, hdr.Size)
	}
	rest := hdr.Size - t.n
	st.stored(t)
	if rest > maxGrown {
		return session.BadAnswer{Err: errUnrequested}
	}
	return nil
}

// drop takes a task out that has found its outcome.
func (st *stream) drop(t *task) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.undecided, t)
}

// unasked reports an entry that nobody asked for. (GNU tar never sends one.)
func (st *stream) unasked(hdr *tar.Header, tr *tar.Reader) error {
	st.unwanted++
	if st.unwanted <= 3 {
		st.p.c.fail(strings.ToValidUTF8(hdr.Name, "\ufffd"), FailRefused,
			fmt.Sprintf("the VM sent this (type %q) and it was not asked for", hdr.Typeflag), nil)
	}
	if st.unwanted > maxUnasked {
		return session.BadAnswer{Err: errUnrequested}
	}
	return st.drain(tr, hdr.Size)
}

// drain reads past the rest of an entry if that is not much.
func (st *stream) drain(_ *tar.Reader, rest int64) error {
	if rest > maxDrain {
		return session.BadAnswer{Err: errUnrequested}
	}
	return nil // tar.Reader skips it with the next header
}
