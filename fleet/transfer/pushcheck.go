package transfer

import (
	"io"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// checkAndPlace compares what the VM has with what is here, sets modes and
// times, and renames what is right.
func (p *push) checkAndPlace() error {
	ready, err := p.verified()
	if err != nil {
		return err
	}
	var meta, pairs []string
	for _, it := range ready {
		name := p.part + "/" + it.id
		if it.Kind == 'f' && !it.meta {
			meta = append(meta, it.perms(), it.stamp(), name)
		}
		pairs = append(pairs, name, p.under(it.rel))
	}
	if err := p.each(metaScript, nil, meta, 3, func(int, byte) {}); err != nil {
		return err
	}
	return p.each(placeScript, nil, pairs, 2, func(i int, letter byte) { p.placed(ready[i], letter) })
}

func (p *push) placed(it *pushItem, letter byte) {
	it.sent, it.failed = true, letter != 'K'
	switch {
	case letter == 'D':
		p.c.fail(it.rel, FailRefused, "a folder of this name is on the VM", nil)
	case letter != 'K':
		p.c.fail(it.rel, FailRemote, "the VM could not rename it", nil)
	case it.Kind == 'l' || it.first != nil:
		p.c.update(func(s *Summary) { s.Links++ })
	default:
		p.c.file(&it.Item, hexString(it.sum))
	}
}

// verified is what may be put in place now.
func (p *push) verified() ([]*pushItem, error) {
	var ready, files []*pushItem
	for _, it := range p.want {
		switch {
		case it.sent || it.first != nil:
		case it.Kind == 'l':
			ready = append(ready, it)
		default:
			files = append(files, it)
		}
	}
	if !p.tools.CanHash() {
		return append(ready, files...), nil
	}
	sums, err := p.hashes(files)
	if err != nil {
		return nil, err
	}
	for _, it := range files {
		it.tries++
		it.sum, err = hashFile(it.local)
		if err != nil {
			p.localGone(it, err)
			continue
		}
		if sums[it.id] == it.sum {
			ready = append(ready, it)
		} else if it.tries >= maxTries {
			it.sent, it.failed = true, true
			p.c.fail(it.rel, FailChanging, "the file changes faster than it can be sent, or the VM cannot keep it", nil)
		}
	}
	return ready, nil
}

// hashes asks the VM for the hashes of what is in the partial folder.
func (p *push) hashes(files []*pushItem) (map[string][32]byte, error) {
	s := p.conn.Start(p.ctx, hashCmd)
	defer s.Stop()
	s.Quiet(true)
	sums := map[string][32]byte{}
	if !plainName(p.part) {
		return p.oddHashes(files)
	}
	go func() {
		if _, err := io.WriteString(s.In, "256\n"); err != nil {
			return
		}
		for _, it := range files {
			if _, err := io.WriteString(s.In, p.part+"/"+it.id+"\x00"); err != nil {
				break
			}
		}
		_ = s.In.Close()
	}()
	if err := s.Ready(); err != nil {
		return nil, err
	}
	for range files { // a VM that says more is not listened to
		line, err := readLine(s.Out)
		if err != nil {
			if err = s.Failure(err); session.IsDrop(err) {
				return nil, err
			}
			return sums, nil
		}
		if sum, ok := parseHash(line); ok {
			sums[line[strings.LastIndexByte(line, '/')+1:]] = sum
		}
	}
	return sums, nil
}

// oddHashes is hashes for a folder whose name tools cannot print.
func (p *push) oddHashes(files []*pushItem) (map[string][32]byte, error) {
	var ask []prefixRequest
	for _, it := range files {
		ask = append(ask, prefixRequest{p.part + "/" + it.id, it.Size})
	}
	got, ok, err := prefixHashes(p.ctx, p.conn, ask)
	sums := map[string][32]byte{}
	for i, it := range files {
		if ok[i] {
			sums[it.id] = got[i]
		}
	}
	return sums, err
}
