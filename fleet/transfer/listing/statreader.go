package listing

import (
	"strconv"
	"strings"
)

// maxLinkMem bounds what is remembered of symlinks of one root, bytes.
const maxLinkMem = 64 << 20

// linkRecord reads name and target of a symlink; readlink ends its line.
func (m *reader) linkRecord() (bool, error) {
	name, err := m.token()
	if err != nil {
		return false, err
	}
	target, err := m.token()
	if err != nil {
		return false, err
	}
	if m.links == nil {
		m.links = map[string]string{}
	}
	if m.linkMem += len(name) + len(target) + 64; m.linkMem > maxLinkMem {
		return false, Limit("its symlinks need more than %d MiB here", maxLinkMem>>20)
	}
	m.links[name] = strings.TrimSuffix(target, "\n")
	return true, nil
}

// statBatch reads names and stat's lines for those of them that still exist.
func (m *reader) statBatch() (bool, error) {
	var names []string
	size := 0
	for {
		name, err := m.token()
		if err != nil {
			return false, err
		}
		if name == "" {
			break
		}
		if size += len(name) + 16; size > maxToken {
			return false, garbage("a batch of more than %d MiB of names", maxToken>>20)
		}
		names = append(names, name)
	}
	lines, err := m.token()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		head, rest, ok := cutStat(lines, name)
		if !ok {
			continue // gone between find and stat
		}
		lines = rest
		it, ok := m.parseStat(head, name)
		if !ok {
			return false, nil
		}
		if err := m.emit(it); err != nil {
			return false, err
		}
	}
	return lines == "", nil
}

// cutStat splits off stat's line for name: ten fields, the name, a newline.
func cutStat(lines, name string) (head, rest string, ok bool) {
	end := 0
	for range 10 { // %y is three fields
		i := strings.IndexByte(lines[end:], ' ')
		if i < 0 || i > 64 {
			return "", "", false
		}
		end += i + 1
	}
	if !strings.HasPrefix(lines[end:], name+"\n") {
		return "", "", false
	}
	return lines[:end], lines[end+len(name)+1:], true
}

// parseStat reads "%f %s %Y %y %d %i %h %b ".
func (m *reader) parseStat(head, name string) (Item, bool) {
	f := strings.Fields(head)
	if len(f) != 10 {
		return Item{}, false
	}
	bad := false
	num := func(s string, base int) uint64 {
		n, err := strconv.ParseUint(s, base, 63)
		bad = bad || err != nil
		return n
	}
	mode := num(f[0], 16)
	it := Item{Root: m.cur, Kind: KindOf(mode), Mode: uint32(mode & 0o7777), Size: int64(num(f[1], 10))}
	it.Dev, it.Ino, it.Nlink, it.Blocks = num(f[6], 10), num(f[7], 10), num(f[8], 10), int64(num(f[9], 10))
	_, frac, fine := strings.Cut(f[4], ".")
	mtime, ok := parseTime(f[2] + "." + frac)
	it.Mtime, it.Coarse = mtime, !fine
	if bad || !ok {
		return Item{}, false
	}
	if it.Kind == 'l' {
		it.Target = m.links[name]
	}
	top := strings.TrimSuffix(m.cur.Remote, "/") + "/."
	switch {
	case name == m.cur.Remote || name == top || name == m.cur.Remote+"/.":
	case strings.HasPrefix(name, top+"/"):
		it.Sub = name[len(top)+1:]
	default:
		return Item{}, false
	}
	return it, true
}

// KindOf maps the type bits of st_mode (inode(7)) to find's letters.
func KindOf(mode uint64) byte {
	switch mode & 0o170000 {
	case 0o100000:
		return 'f'
	case 0o040000:
		return 'd'
	case 0o120000:
		return 'l'
	case 0o010000:
		return 'p'
	case 0o140000:
		return 's'
	}
	return 'D'
}
