package transfer

import (
	"bufio"
	"crypto/sha256"
	"io"
	"iter"
	"slices"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// verifyHeld has the VM hash what lies whole in the partial folder and was not
// verified on its way: what an earlier run left, what came without a hash.
func (p *push) verifyHeld() error {
	var files []*pushItem
	for _, it := range p.want {
		switch {
		case it.sent || it.ready || !it.complete || it.first != nil:
		case !p.tools.CanHash():
			it.ready = true
		default:
			files = append(files, it)
		}
	}
	if len(files) == 0 {
		return nil
	}
	sums, err := p.hashes(files)
	if err != nil {
		return err
	}
	for _, it := range files {
		if !it.hashed {
			if it.sum, err = hashFile(it.local); err != nil {
				p.localGone(it, err)
				continue
			}
		}
		if sum, ok := sums[p.lies(it)]; ok && sum == it.sum {
			it.ready = true
		} else {
			it.complete = false
			p.unsteady(it)
		}
	}
	return nil
}

// hashes asks the VM for the hashes of what is in the partial folder, by name.
func (p *push) hashes(files []*pushItem) (map[string][32]byte, error) {
	sums := map[string][32]byte{}
	var plain, odd []*pushItem
	for _, it := range files {
		if plainName(p.lies(it)) {
			plain = append(plain, it)
		} else {
			odd = append(odd, it)
		}
	}
	if err := p.oddHashes(odd, sums); err != nil || len(plain) == 0 {
		return sums, err
	}
	s := p.conn.Start(p.ctx, hashCmd)
	defer s.Stop()
	s.Due("hashes", session.ToRead(sizes(slices.Values(plain))))
	s.Input(func(w *bufio.Writer) error {
		_, err := io.WriteString(w, "256\n")
		for _, it := range plain {
			_, err = io.WriteString(w, p.lies(it)+"\x00")
		}
		return err
	})
	if err := s.Ready(); err != nil {
		return nil, err
	}
	for range plain { // a VM that says more is not listened to
		line, err := readLine(s.Out)
		if err != nil {
			if err = s.End(err); err != nil {
				return nil, err
			}
			return sums, nil
		}
		if sum, ok := parseHash(line); ok && len(line) > 66 {
			sums[line[66:]] = sum
		}
	}
	return sums, nil
}

// oddHashes is hashes for names that tools cannot print.
func (p *push) oddHashes(files []*pushItem, sums map[string][32]byte) error {
	if len(files) == 0 {
		return nil
	}
	var ask []prefixRequest
	for _, it := range files {
		ask = append(ask, prefixRequest{p.lies(it), it.Size})
	}
	got, ok, err := prefixHashes(p.ctx, p.conn, ask)
	for i, it := range files {
		if ok[i] {
			sums[p.lies(it)] = got[i]
		}
	}
	return err
}

// sizes is the sum of the sizes of items.
func sizes(items iter.Seq[*pushItem]) (bytes int64) {
	for it := range items {
		bytes += it.Size
	}
	return bytes
}

func hashFile(name string) (sum [32]byte, err error) {
	f, err := dest.OpenRegular(name)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [32]byte(h.Sum(nil)), err
}
