package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// pushStream is one stream of tar to the VM, whose answer is the hashes of what
// it unpacked.
type pushStream struct {
	p     *push
	s     *session.Session
	tw    *tar.Writer
	zip   *zstd.Encoder // nil = not compressed
	every int           // names per run of the VM's hash tool
	n     int           // names in the current run
	buf   []byte
	began bool // the command runs; valid when the answer has ended

	mu   sync.Mutex
	open map[string]*pushItem // sent and not hashed yet, by name in the archive
	all  []*pushItem          // whatever was sent
	odd  int                  // lines that say names which the tool cannot print
}

// stream sends small files until none are left. The one that leads sends folders
// and what the renaming needs, too.
func (d *delivery) stream(c *session.Conn, lead bool) {
	p := d.p
	var s *session.Session
	if lead {
		s, p.early.tar = p.early.tar, nil
	}
	if s == nil {
		s = c.Start(d.ctx, pushTarCmd)
	}
	s.Due("taking contents", 0)
	defer s.Stop()
	st := &pushStream{p: p, s: s, buf: make([]byte, 128<<10), open: map[string]*pushItem{}}
	read := make(chan error, 1)
	go func() { read <- st.readHashes() }()
	err := st.write(d.q, lead)
	if err == nil {
		_ = s.In.Close()
		s.Due("hashes", st.unhashed())
	}
	readErr := <-read
	d.ended(c, st.result(err, readErr))
}

// result is what became of the stream.
func (st *pushStream) result(wrote, read error) error {
	var bad session.BadAnswer
	if !st.began || errors.As(read, &bad) {
		st.s.Stop()
		return read
	}
	if wrote != nil && !errors.Is(wrote, io.ErrClosedPipe) {
		st.s.Stop()
		return wrote
	}
	err := st.s.Wait()
	if exitStatus(err) == 9 {
		return st.p.noFolders(whyIn(st.s.Said(), nil), st.s.Stderr())
	}
	if err == nil {
		for _, it := range st.all { // all of them are there; of files the VM had to say more
			it.complete = it.tries == 0 || it.ready
			it.ready = it.ready || it.Kind == 'l' || !st.p.tools.CanHash()
		}
	}
	return toolError(st.s, err)
}

// write sends the stream.
func (st *pushStream) write(q *pushQueue, lead bool) error {
	w := bufio.NewWriterSize(st.s.In, 64<<10)
	if err := st.begin(w, q); err != nil {
		return err
	}
	st.tw = tar.NewWriter(w)
	if st.zip != nil {
		st.zip.Reset(w)
		st.tw = tar.NewWriter(st.zip)
	}
	if lead {
		if err := st.lead(); err != nil {
			return err
		}
	}
	for batch := q.takeSmall(); len(batch) > 0; batch = q.takeSmall() {
		for _, it := range batch {
			if err := st.item(it); err != nil {
				return err
			}
		}
	}
	if err := st.tw.Close(); err != nil {
		return err
	}
	if st.zip != nil {
		if err := st.zip.Close(); err != nil {
			return err
		}
	}
	return w.Flush()
}

// begin tells the VM how the stream is to be taken.
func (st *pushStream) begin(w io.Writer, q *pushQueue) error {
	how := "g"
	if st.p.tools.Zstd && st.p.far() {
		zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return err
		}
		how, st.zip = "z", zip
	}
	st.every = q.hashRun()
	_, err := fmt.Fprintf(w, "%s\n%s%s%d\n", how, shellLine(st.p.dest), shellLine(st.p.part), st.every)
	return err
}

// hashRun is how many names the VM is to hash per run of its tool: about 32 MiB,
// so that hashes do not lag far behind contents, and so many that starting the
// tool (3 ms) does not matter, and as fit into its arguments (busybox's xargs
// allows 32 KiB).
func (q *pushQueue) hashRun() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	longest, bytes := 1, int64(0)
	for _, it := range q.small {
		longest, bytes = max(longest, len(it.rel)+3), bytes+it.Size
	}
	average := bytes / int64(max(len(q.small), 1))
	return int(max(2, min(32<<20/max(average, 1), int64(20<<10/longest), 1000)))
}

// padName is the name of the file that does not matter, see pushTarCmd.
const padName = "pad"

// header writes a header, before it a pad where a run of the hash tool ends.
func (st *pushStream) header(h *tar.Header) error {
	names := 1 + strings.Count(h.Name, "\n")
	if st.n+names >= st.every {
		if err := st.pad(); err != nil {
			return err
		}
	}
	st.n = (st.n + names) % st.every
	if !plainName(h.Name) {
		st.mu.Lock()
		st.odd += names
		st.mu.Unlock()
	}
	h.Format = tar.FormatPAX
	if st.p.tools.Tar != "gnu" {
		h.Format = tar.FormatGNU // a busybox knows no names of PAX
	}
	return st.tw.WriteHeader(h)
}

// pad fills the run of the hash tool up.
func (st *pushStream) pad() error {
	for ; st.n < st.every; st.n++ {
		if err := st.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: padName, Mode: 0o600, Format: tar.FormatGNU}); err != nil {
			return err
		}
	}
	st.n = 0
	return nil
}

// lead sends the folders, and archives of the links and of the folders' modes
// and times for the renaming.
func (st *pushStream) lead() error {
	for _, it := range st.p.dirs {
		if it.made {
			continue
		}
		// Nobody but the owner until all is in it and in place.
		if err := st.header(&tar.Header{Typeflag: tar.TypeDir, Name: "t/" + it.rel + "/", Mode: 0o700}); err != nil {
			return err
		}
	}
	if err := st.archive("h", st.p.linkHeaders()); err != nil {
		return err
	}
	return st.archive("m", st.p.dirHeaders())
}

// archive sends an archive of items without content as a file; an empty one if
// there are none, because an earlier pass may have left one.
func (st *pushStream) archive(name string, list []*tar.Header) error {
	inner, err := headersOnly(list, st.p.tools.Tar == "gnu")
	if err != nil {
		return err
	}
	if err := st.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(inner)), Mode: 0o600}); err != nil {
		return err
	}
	_, err = st.tw.Write(inner)
	return err
}

// headersOnly is an archive of items without content, nil if there are none.
func headersOnly(list []*tar.Header, gnu bool) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range list {
		h.Format = tar.FormatPAX
		if !gnu {
			h.Format = tar.FormatGNU
		}
		if err := tw.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	err := tw.Close()
	return b.Bytes(), err
}

// item sends one file or symlink.
func (st *pushStream) item(it *pushItem) error {
	h := &tar.Header{Typeflag: tar.TypeSymlink, Name: "t/" + it.rel, Linkname: it.Target, Mode: 0o777, ModTime: it.ModTime()}
	if it.Kind == 'l' {
		st.all = append(st.all, it)
		return st.header(h)
	}
	f := st.p.openHere(it)
	if f == nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	st.p.c.at(it.rel)
	h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeReg, "", it.Size, int64(it.Mode&0o777)
	if err := st.header(h); err != nil {
		return err
	}
	sum, readErr, err := st.p.copyOut(st.tw, f, it.Size, st.buf)
	if err != nil {
		return err
	}
	fi, statErr := f.Stat()
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case statErr != nil || !it.sameHere(fi) && !it.sameContent(sum):
		st.p.unsteady(it)
	case readErr != nil:
		st.p.localGone(it, readErr)
	default:
		it.sum, it.hashed, st.open[h.Name] = sum, true, it
		st.all = append(st.all, it)
	}
	return nil
}

// copyOut sends n bytes of r and hashes them. Where they cannot be read zeros are
// sent instead: readErr says so, err is of writing.
func (p *push) copyOut(w io.Writer, r io.Reader, n int64, buf []byte) (sum [32]byte, readErr, err error) {
	h := sha256.New()
	for n > 0 {
		b := buf[:min(n, int64(len(buf)))]
		m, err := fill(r, b)
		if m < len(b) && readErr == nil {
			readErr = cmp.Or(err, io.ErrUnexpectedEOF)
		}
		clear(b[m:])
		h.Write(b)
		if _, err := w.Write(b); err != nil {
			return sum, readErr, err
		}
		p.c.have(int64(len(b)), int64(len(b)))
		n -= int64(len(b))
	}
	return [32]byte(h.Sum(nil)), readErr, nil
}

// unhashed is how long the VM may need for the hashes that are still to come.
func (st *pushStream) unhashed() time.Duration {
	st.mu.Lock()
	defer st.mu.Unlock()
	return session.ToRead(sizes(maps.Values(st.open)))
}

// readHashes compares what the VM says with what was sent.
func (st *pushStream) readHashes() error {
	if err := st.s.Ready(); err != nil {
		return err
	}
	st.began = true
	for odd := 0; odd < maxUnaskedLines+st.oddLines(); {
		line, err := readLine(st.s.Out)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			st.s.Abort()
			return st.s.End(err)
		}
		sum, ok := parseHash(line)
		if !ok || len(line) < 66 || !st.hashed(line[66:], sum) {
			if ok && strings.HasSuffix(line, padName) {
				continue
			}
			odd++ // the tool's own words, or of what the renaming needs
		}
	}
	st.s.Abort()
	return session.BadAnswer{Err: errUnrequested}
}

// oddLines is how many lines nobody can make sense of.
func (st *pushStream) oddLines() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.odd
}

// hashed notes the VM's hash of a name, and tells whether it was asked for.
func (st *pushStream) hashed(name string, sum [32]byte) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	it := st.open[name]
	if it == nil {
		return false
	}
	delete(st.open, name)
	if it.sum == sum {
		it.ready = true
	} else {
		st.p.unsteady(it)
	}
	return true
}

// linkHeaders are the hard links whose file comes in this pass, too.
func (p *push) linkHeaders() (list []*tar.Header) {
	for _, it := range p.want {
		if it.first != nil && !it.sent && it.first.wanted && !it.first.sent {
			list = append(list, &tar.Header{Typeflag: tar.TypeLink, Name: "t/" + it.rel, Linkname: "t/" + it.first.rel, Mode: 0o600})
		}
	}
	return list
}

// dirHeaders are the folders that the VM lacks. Those that their owner may not
// write to get the rest of their mode when they are in place.
func (p *push) dirHeaders() (list []*tar.Header) {
	for _, it := range p.dirs {
		if !it.made {
			list = append(list, &tar.Header{Typeflag: tar.TypeDir, Name: "t/" + it.rel + "/", Mode: int64(it.Mode&0o777 | 0o700), ModTime: it.ModTime()})
		}
	}
	return list
}
