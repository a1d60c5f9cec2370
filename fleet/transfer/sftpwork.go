package transfer

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// sftpWorker fetches files over SFTP until none are left.
func (w *worker) sftpWorker(ctx context.Context) error {
	client, m, err := openSFTP(ctx, w.conn, unlimited)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	wake := w.p.q.wakeOn(ctx)
	defer wake()
	var wg sync.WaitGroup
	run := func(n int, work func(context.Context, *sftp.Client) error) {
		for range n {
			wg.Go(func() {
				if err := work(ctx, client); err != nil {
					cancel(err)
				}
			})
		}
	}
	run(sftpFiles, w.sftpSmall)
	run(sftpChunks, w.sftpChunk)
	wg.Wait()
	_ = client.Close()
	return m.cause(context.Cause(ctx))
}

// sftpSmall fetches small files one after the other.
func (w *worker) sftpSmall(ctx context.Context, client *sftp.Client) error {
	buf := make([]byte, 256<<10)
	for w.p.q.waitSmall(ctx) {
		t, ok := w.p.q.takeSmall(ctx)
		if !ok {
			continue
		}
		if err := w.sftpFile(client, t, buf); err != nil {
			if t.drops++; t.drops > maxDrops {
				w.p.giveUp(t, FailLost, "the connection dropped each time it was on its way", err)
			} else {
				w.p.q.putBack([]*task{t})
			}
			return err
		}
	}
	return nil
}

// sftpFile fetches one small file; an error means that the connection failed.
func (w *worker) sftpFile(client *sftp.Client, t *task, buf []byte) error {
	p := w.p
	if t.stored {
		p.commit(t)
		return nil
	}
	f, err := client.Open(t.name)
	if err != nil {
		return w.sftpFailed(t, err)
	}
	defer func() { _ = f.Close() }()
	limit := max(t.it.Size, maxUnlisted)
	err = p.storeFile(t, f, limit, buf)
	var re readError
	switch {
	case errors.As(err, &re):
		return w.sftpFailed(t, re.error)
	case err != nil:
		p.localFailure(t.rel, err)
		p.q.done()
		return nil
	}
	if t.n == limit && t.it.Size < limit {
		t.part.Remove()
		p.giveUp(t, FailRefused, "the file does not end where it should", nil)
		return nil
	}
	if t.n == t.it.Size || t.tries >= maxTries {
		p.commit(t)
		return nil
	}
	fi, err := f.Stat()
	if err != nil && !isStatus(err) {
		return err
	}
	if err == nil && fi.Size() != t.n && fi.ModTime().Unix() != t.it.Mtime/1e9 {
		t.tries++
		p.q.putBack([]*task{t})
		return nil
	}
	p.commit(t) // it grew or shrank and is still, or lies about its size
	return nil
}

// sftpFailed tells trouble with one file from trouble with the connection.
func (w *worker) sftpFailed(t *task, err error) error {
	if !isStatus(err) {
		return err
	}
	w.p.giveUp(t, FailRemote, "the VM cannot read it: "+session.CleanLine(err.Error()), err)
	return nil
}

// sftpChunk fetches chunks of large files one after the other.
func (w *worker) sftpChunk(ctx context.Context, client *sftp.Client) error {
	buf := make([]byte, 1<<20)
	for {
		job, ok, err := w.nextChunk(ctx)
		if !ok {
			return err
		}
		if err := w.sftpRange(client, job, buf); err != nil {
			w.p.q.wake()
			return err
		}
	}
}

// sftpRange fetches one chunk; an error means that the connection failed.
func (w *worker) sftpRange(client *sftp.Client, job chunkJob, buf []byte) error {
	at := job.s
	f, err := client.Open(job.l.t.name)
	if err == nil {
		defer func() { _ = f.Close() }()
	}
	for err == nil && at.len() > 0 {
		var n int
		n, err = f.ReadAt(buf[:min(int64(len(buf)), at.len())], at.off)
		if n > 0 {
			if e := job.l.write(buf[:n], at.off); e != nil {
				job.l.fail(e)
				job.l.finished(byteRange{}, false)
				return nil
			}
			job.l.note(byteRange{at.off, at.off + int64(n)})
			at.off += int64(n)
			w.p.c.have(int64(n), int64(n))
		}
	}
	lost := err != nil && !errors.Is(err, io.EOF) && !isStatus(err)
	job.l.finished(at, at.len() > 0 && !lost)
	if lost {
		return err
	}
	return nil
}
