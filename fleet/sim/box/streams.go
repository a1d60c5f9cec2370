package box

import (
	"context"
	"crypto/rand"
	"io"
	"io/fs"
	"os"
	"syscall"

	"mvdan.cc/sh/v3/interp"
)

// stdStream opens the names of a command's own streams.
func stdStream(name string, hc interp.HandlerContext) (io.ReadWriteCloser, bool) {
	switch name {
	case "/dev/stdin", "/dev/fd/0":
		return stream{r: hc.Stdin}, true
	case "/dev/stdout", "/dev/fd/1", "/dev/tty":
		return stream{w: hc.Stdout}, true
	case "/dev/stderr", "/dev/fd/2":
		return stream{w: hc.Stderr}, true
	}
	return nil, false
}

// stream is a virtual file: a device, or a command's own stream. Its Close
// leaves what is below open.
type stream struct {
	r io.Reader
	w io.Writer
}

func (s stream) Read(p []byte) (int, error) {
	if s.r == nil {
		return 0, io.EOF
	}
	return s.r.Read(p)
}

func (s stream) Write(p []byte) (int, error) {
	if s.w == nil {
		return 0, syscall.EBADF
	}
	return s.w.Write(p)
}

func (s stream) Close() error { return nil }

func (s stream) Stat() (fs.FileInfo, error) { return nil, syscall.ENOSYS }

// Devices puts /dev into a VM: null, zero, full, random and urandom.
func (f *FS) Devices() error {
	if err := f.MkdirAll("/dev", 0o755); err != nil {
		return err
	}
	for name, device := range map[string]stream{
		"null":    {w: io.Discard},
		"zero":    {r: zeros{}, w: io.Discard},
		"full":    {r: zeros{}, w: full{}},
		"random":  {r: rand.Reader, w: io.Discard},
		"urandom": {r: rand.Reader, w: io.Discard},
	} {
		if err := f.WriteFile("/dev/"+name, nil, 0o666); err != nil {
			return err
		}
		f.SetSpecial("/dev/"+name, Special{
			Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666,
			Open: func(context.Context, int) (File, error) { return device, nil },
		})
	}
	return nil
}

// zeros is an endless row of zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// isNilFile recognizes the interpreter's closed standard input: an interface
// that holds a nil file.
func isNilFile(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && f == nil
}

// noInput is a standard input with nothing in it, safe to be shared.
type noInput struct{}

func (noInput) Read([]byte) (int, error) { return 0, io.EOF }

// FIFO is a named pipe that somebody outside the VM reads: fn gets what is
// written to it. Another reader waits, as there is nothing left for it.
func FIFO(fn func([]byte)) Special {
	return Special{
		Mode: fs.ModeNamedPipe | 0o644,
		Open: func(ctx context.Context, flag int) (File, error) {
			if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
				<-ctx.Done()
				return nil, syscall.EINTR
			}
			return stream{w: reader(fn)}, nil
		},
	}
}

// reader reads a FIFO.
type reader func([]byte)

func (r reader) Write(p []byte) (int, error) {
	r(p)
	return len(p), nil
}
