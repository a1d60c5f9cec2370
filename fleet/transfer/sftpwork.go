package transfer

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/pkg/sftp"
)

// sftpWorker fetches files over SFTP until none are left.
func (l *lane) sftpWorker(ctx context.Context) error {
	client, _, err := openSFTP(ctx, l.conn, unlimited)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	wake := l.p.q.wakeOn(ctx)
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
	run(sftpFiles, l.sftpSmall)
	run(sftpChunks, l.sftpChunk)
	wg.Wait()
	_ = client.Close()
	return context.Cause(ctx)
}

// sftpSmall fetches small files one after the other.
func (l *lane) sftpSmall(ctx context.Context, client *sftp.Client) error {
	buf := make([]byte, 256<<10)
	for l.p.q.waitSmall(ctx) {
		t, ok := l.p.q.takeSmall(ctx)
		if !ok {
			continue
		}
		if err := l.sftpFile(client, t, buf); err != nil {
			if t.drops++; t.drops > maxDrops {
				l.p.giveUp(t, FailLost, "the connection dropped each time it was on its way", err)
			} else {
				l.p.q.again([]*task{t})
			}
			return err
		}
	}
	return nil
}

// sftpFile fetches one small file; an error means that the connection failed.
func (l *lane) sftpFile(client *sftp.Client, t *task, buf []byte) error {
	p := l.p
	if t.got {
		p.commit(t)
		return nil
	}
	f, err := client.Open(t.name)
	if err != nil {
		return l.sftpFailed(t, err)
	}
	defer func() { _ = f.Close() }()
	limit := max(t.it.size, maxLying)
	err = p.storeFile(t, f, limit, buf)
	var re readError
	switch {
	case errors.As(err, &re):
		return l.sftpFailed(t, re.error)
	case err != nil:
		p.localFailure(t.rel, err)
		p.q.done()
		return nil
	}
	if t.n == limit && t.it.size < limit {
		t.part.Remove()
		p.giveUp(t, FailRefused, "the file does not end where it should", nil)
		return nil
	}
	if t.n == t.it.size || t.tries >= maxTries {
		p.commit(t)
		return nil
	}
	fi, err := f.Stat()
	if err != nil && !isStatus(err) {
		return err
	}
	if err == nil && fi.Size() != t.n && fi.ModTime().Unix() != t.it.mtime/1e9 {
		t.tries++
		p.q.again([]*task{t})
		return nil
	}
	p.commit(t) // it grew or shrank and is still, or lies about its size
	return nil
}

// sftpFailed tells trouble with one file from trouble with the connection.
func (l *lane) sftpFailed(t *task, err error) error {
	if !isStatus(err) {
		return err
	}
	l.p.giveUp(t, FailRemote, "the VM cannot read it: "+cleanLine(err.Error()), err)
	return nil
}

// sftpChunk fetches chunks of large files one after the other.
func (l *lane) sftpChunk(ctx context.Context, client *sftp.Client) error {
	buf := make([]byte, 1<<20)
	for {
		job, ok, err := l.nextChunk(ctx)
		if !ok {
			return err
		}
		if err := l.sftpSpan(client, job, buf); err != nil {
			l.p.q.poke()
			return err
		}
	}
}

// sftpSpan fetches one chunk; an error means that the connection failed.
func (l *lane) sftpSpan(client *sftp.Client, job chunkJob, buf []byte) error {
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
				job.l.finished(span{}, false)
				return nil
			}
			job.l.note(span{at.off, at.off + int64(n)})
			at.off += int64(n)
			l.p.c.have(int64(n), int64(n))
		}
	}
	lost := err != nil && !errors.Is(err, io.EOF) && !isStatus(err)
	job.l.finished(at, at.len() > 0 && !lost)
	if lost {
		return err
	}
	return nil
}
