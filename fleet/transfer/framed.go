package transfer

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// A framed answer is the bytes of a file or of a range, as many as were asked
// for, and then a trailer that nobody could foresee. If the trailer is not
// there, the file is shorter or longer than it was listed.

// trailer makes a new trailer.
func trailer() string { return rand.Text() }

// request is what the data session is told about a task.
func (st *stream) request(t *task) string {
	if st.p.tools.Tar != "none" {
		return t.name + "\x00"
	}
	return rangeRequest(t.name, byteRange{0, t.it.Size}, st.p.trailer)
}

// rangeRequest asks rangeCmd for a range that begins at a multiple of rangeBlock.
func rangeRequest(name string, s byteRange, trailer string) string {
	return fmt.Sprintf("%s\x00%d\x00%d\x00%s\x00", name, s.off/rangeBlock, (s.len()+rangeBlock-1)/rangeBlock, trailer)
}

// checkTrailer reads the trailer.
func checkTrailer(r io.Reader, want string) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		return err
	}
	if !bytes.Equal(got, []byte(want)) {
		return errShort
	}
	return nil
}

// readFramed reads small files that come one by one, where there is no tar.
func (st *stream) readFramed() error {
	if err := st.data.Ready(); err != nil {
		return err
	}
	buf := make([]byte, 128<<10)
	for {
		t := st.front()
		if t == nil {
			return nil
		}
		err := st.p.storeFile(t, st.data.Out, t.it.Size, buf)
		var re readError
		switch {
		case errors.As(err, &re):
			return st.data.End(re.error)
		case err != nil:
			st.drop(t)
			st.arrived(t.name)
			st.p.localFailure(t.rel, err)
			st.p.q.done()
			return session.ErrStopped
		}
		if err := checkTrailer(st.data.Out, st.p.trailer); err != nil {
			if errors.Is(err, errShort) {
				t.drops++ // it is retried by itself, the rest is asked for again
			}
			return st.data.End(err)
		}
		st.arrived(t.name)
		st.stored(t)
	}
}

// front waits for the first task asked for; nil if there will be none.
func (st *stream) front() *task {
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.order.len() == 0 && !st.closed && !st.dead {
		st.cond.Wait()
	}
	if st.order.len() == 0 {
		return nil
	}
	return st.order.items[st.order.head]
}
