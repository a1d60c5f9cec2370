package sshconn

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// clientVersion is the identification line of RFC 4253 section 4.2, which
// allows no further minus sign.
const clientVersion = "SSH-2.0-vers_fleet"

// tlsGoodbye bounds the wait for writing TLS's closing alert.
const tlsGoodbye = 300 * time.Millisecond

// wire is the connection below the SSH protocol. It remembers the first
// network error, which the SSH library may hide behind one of its own, counts
// what arrives, and sends our version line before the library does, so that
// waiting for the server's first byte costs no round trip.
type wire struct {
	net.Conn // what SSH talks through
	raw      net.Conn

	received atomic.Uint64
	closed   atomic.Bool
	cause    atomic.Pointer[error]
	closing  sync.Once

	first   []byte // read by greet, not yet by the library
	swallow int    // bytes of the version line already sent
}

func newWire(through, raw net.Conn) *wire { return &wire{Conn: through, raw: raw} }

// greet sends our version line and waits for the server's first byte.
func (w *wire) greet() error {
	line := clientVersion + "\r\n"
	if _, err := io.WriteString(w.Conn, line); err != nil {
		return w.note(err)
	}
	w.swallow = len(line)
	var b [1]byte
	if _, err := io.ReadFull(w.Conn, b[:]); err != nil {
		return w.note(err)
	}
	w.first = b[:]
	return nil
}

// Read reads what greet took, then from the connection.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.first) > 0 {
		n := copy(p, w.first)
		w.first = w.first[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.received.Add(uint64(n))
	}
	return n, w.note(err)
}

// Write drops the bytes greet has sent already.
func (w *wire) Write(p []byte) (int, error) {
	skip := min(w.swallow, len(p))
	w.swallow -= skip
	if skip == len(p) {
		return skip, nil
	}
	n, err := w.Conn.Write(p[skip:])
	return skip + n, w.note(err)
}

// Close closes the connection without waiting long for a dead peer.
func (w *wire) Close() error {
	w.closing.Do(func() {
		w.closed.Store(true)
		if w.Conn == w.raw {
			_ = w.raw.Close()
			return
		}
		force := time.AfterFunc(tlsGoodbye, func() { _ = w.raw.Close() })
		_ = w.Conn.Close()
		force.Stop()
	})
	return nil
}

// abort closes the connection at once, without a farewell.
func (w *wire) abort() {
	w.closed.Store(true)
	_ = w.raw.Close()
}

// note remembers the first error that is not the echo of our own closing.
func (w *wire) note(err error) error {
	if err != nil && !w.closed.Load() {
		w.cause.CompareAndSwap(nil, &err)
	}
	return err
}

// failure is the first network error, or nil.
func (w *wire) failure() error {
	if p := w.cause.Load(); p != nil {
		return *p
	}
	return nil
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
