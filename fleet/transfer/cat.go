package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// OneFileError says why a path does not stand for the one file that Cat wants.
type OneFileError struct{ Path, Why string }

func (e *OneFileError) Error() string { return e.Path + ": " + e.Why }

// Cat writes the content of one file of the VM to w as it comes; a pattern must
// match one file. progress is told bytes so far and in all, -1 if unknown. SSH
// guards the content on its way, nothing else is checked. Errors: *PathError,
// *OneFileError, *LostError, *LocalError with that of w, the context's error.
func Cat(ctx context.Context, conn Conn, asked string, w io.Writer, progress func(done, total int64)) error {
	c := session.NewConn(conn)
	out := &catWriter{w: w, progress: progress}
	err := catByShell(ctx, c, asked, out)
	var one *OneFileError
	var none *PathError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case out.err != nil:
		return &LocalError{"stdout", out.err}
	case err == nil, errors.As(err, &one), errors.As(err, &none):
		return err
	case session.IsDrop(err) || out.done > 0:
		return &LostError{fmt.Errorf("after %d bytes: %w", out.done, err)}
	}
	return catBySFTP(ctx, c, asked, out, err)
}

// catWriter passes content on.
type catWriter struct {
	w           io.Writer
	done, total int64
	progress    func(done, total int64)
	err         error
}

func (c *catWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	c.err = err
	c.progress(c.done, c.total)
	return n, err
}

// oneRoot is the one thing that a path asked for stands for.
func oneRoot(asked string, expand func([]*listing.Root) ([]*listing.Root, error)) (string, error) {
	roots, err := expand([]*listing.Root{listing.NewRoot(asked)})
	if err == nil && len(roots) > 1 {
		err = &OneFileError{asked, fmt.Sprintf("%d files match", len(roots))}
	}
	return roots[0].Remote, err
}

func catByShell(ctx context.Context, c *session.Conn, asked string, out *catWriter) error {
	name, err := oneRoot(asked, func(r []*listing.Root) ([]*listing.Root, error) { return expand(ctx, c, r) })
	if err != nil {
		return err
	}
	s := c.Start(ctx, oneFileCmd)
	defer s.Stop()
	s.Items(name)
	if err := s.Ready(); err != nil {
		return err
	}
	head, err := s.Out.ReadSlice(0)
	if errors.Is(err, bufio.ErrBufferFull) {
		return session.BadAnswer{Err: errUnrequested}
	}
	if err != nil {
		return s.Failure(err)
	}
	what := string(head)
	if size, ok := strings.CutPrefix(strings.TrimSuffix(what, "\x00"), "F"); ok {
		if out.total, err = strconv.ParseInt(size, 10, 64); err != nil {
			out.total = -1
		}
	} else if err := notOneFile(asked, what[0]); err != nil {
		return err
	}
	s.Due("contents", 0)
	if _, err := io.Copy(out, bufio.NewReaderSize(s.Out, 64<<10)); err != nil {
		return s.Failure(err)
	}
	return s.Wait()
}

// notOneFile is the error for the letter of oneFileCmd.
func notOneFile(asked string, letter byte) error {
	switch letter {
	case 'G':
		return &PathError{asked}
	case 'D':
		return &OneFileError{asked, "it is a folder"}
	case 'X':
		return &OneFileError{asked, "the VM's user may not read it"}
	}
	return &OneFileError{asked, "it is no regular file"}
}

// catBySFTP is for a VM that runs no commands (why).
func catBySFTP(ctx context.Context, c *session.Conn, asked string, out *catWriter, why error) error {
	client, m, err := openSFTP(ctx, c, unlimited)
	if err != nil {
		return &ToolError{"the VM can neither send a file by sh and cat nor by SFTP", errors.Join(why, err)}
	}
	defer func() { _ = client.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	name, err := oneRoot(asked, func(r []*listing.Root) ([]*listing.Root, error) { return expandBySFTP(client, r) })
	if err != nil {
		return err
	}
	fi, err := client.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &PathError{asked}
	case err == nil && fi.IsDir():
		return notOneFile(asked, 'D')
	case err == nil && !fi.Mode().IsRegular():
		return notOneFile(asked, 'S')
	}
	f, err := client.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return notOneFile(asked, 'X')
	}
	if err == nil {
		out.total = fi.Size()
		_, err = f.WriteTo(out)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case out.err != nil:
		return &LocalError{"stdout", out.err}
	case err != nil:
		return &LostError{m.cause(err)}
	}
	return nil
}
