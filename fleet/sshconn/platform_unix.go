//go:build unix

package sshconn

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileInput reads a file descriptor only when there is something to read, so
// that a reader which is stopped has taken nothing it could not deliver. It
// never changes the descriptor's blocking mode: other processes share it.
type fileInput struct {
	file *os.File // kept alive
	fd   int
	wake [2]int // pipe; a byte in it stops the reader

	stopped atomic.Bool
	mu      sync.Mutex // held by a read
	once    sync.Once
}

func newFileInput(f *os.File) (input, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	in := &fileInput{file: f}
	if err := raw.Control(func(fd uintptr) { in.fd = int(fd) }); err != nil {
		return nil, err
	}
	if err := unix.Pipe(in.wake[:]); err != nil {
		return nil, err
	}
	for _, fd := range in.wake {
		unix.CloseOnExec(fd)
	}
	return in, nil
}

// Read waits until the file has something or the input is stopped, which
// reads as EOF's opposite: os.errClosed.
func (in *fileInput) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		if in.stopped.Load() {
			return 0, os.ErrClosed
		}
		if err := waitReadable(in.fd, in.wake[0]); err != nil {
			return 0, err
		}
		if in.stopped.Load() {
			return 0, os.ErrClosed
		}
		n, err := unix.Read(in.fd, p)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return 0, &os.PathError{Op: "read", Path: in.file.Name(), Err: err}
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// readWait is how long stop waits for a read that blocks after all, because
// another process was faster to take what there was.
const readWait = 300 * time.Millisecond

// stop ends the reading and waits for a read under way.
func (in *fileInput) stop() {
	in.once.Do(func() {
		in.stopped.Store(true)
		_, _ = unix.Write(in.wake[1], []byte{0})
		ended := make(chan struct{})
		go func() {
			in.mu.Lock()
			defer in.mu.Unlock()
			_ = unix.Close(in.wake[0])
			_ = unix.Close(in.wake[1])
			close(ended)
		}()
		timer := time.NewTimer(readWait)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
		}
	})
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
