package keystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// The index sums up the records for listings: of thousands of VMs, opening each
// record takes most of the time. It is derived, and never believed over the
// records: an entry counts only as long as folder and record are ours alone and
// the record is, by inode, size and the kernel's times, the very file that was
// read; any other is read anew. What is not whole to its checksum, or not ours,
// counts as no index. It is written without syncing, and holds less than the
// records, which are as readable and no secret.
const (
	fileIndex  = "records.index"
	lockIndex  = "index"
	indexMagic = "vers-fleet index of records 1\n"
	maxIndex   = 64 << 20
)

// fileStamp tells one state of a record's file from any other. The zero value
// is that of no file, or one that must be read.
type fileStamp struct {
	inode, size    uint64
	mtime, changed int64 // ns since 1970
}

// settleTime is how old a file must be for its stamp to tell: one that was
// written after it was read, within the kernel's grain of time, may look the same.
const settleTime = 2 * time.Second

// settled tells whether what was read of a file with this stamp may go into the
// index: the stamp tells, and the summary comes back from there as it is.
func settled(stamp fileStamp, sum *Summary, now time.Time) bool {
	for _, t := range sum.times() {
		if !t.IsZero() && t.Location() != time.UTC {
			return false
		}
	}
	return stamp.changed < now.Add(-settleTime).UnixNano() && stamp.changed > 0
}

func (s *Summary) times() [5]*time.Time {
	return [...]*time.Time{&s.FetchedAt, &s.ProvedAt, &s.RefusedAt, &s.GoneAt, &s.ReachedAt}
}

// recordIndex is an index with a place for each of some VMs, in the order of
// their ids.
type recordIndex struct {
	sums      []Summary
	stamps    []fileStamp  // of the records that were summed up; zero: of none
	strangers int          // other VMs that are in the file
	fresh     atomic.Int64 // VMs that are not, and may be
}

// readIndex reads what the index says of the ids, which are sorted.
func (s *Store) readIndex(ids []string) *recordIndex {
	x := &recordIndex{sums: make([]Summary, len(ids)), stamps: make([]fileStamp, len(ids))}
	if len(ids) < worthIndexing {
		return x
	}
	data, err := readPrivate("read index", s.path(fileIndex), maxIndex)
	if err != nil || !x.decode(data, ids) {
		clear(x.sums)
		clear(x.stamps)
		x.strangers = 0
	}
	return x
}

// encode is magic, checksum, and the VMs that have a stamp.
func (x *recordIndex) encode() []byte {
	out := make([]byte, len(indexMagic)+sha256.Size, len(x.sums)*100)
	copy(out, indexMagic)
	for i := range x.sums {
		if x.stamps[i] != (fileStamp{}) {
			out = x.stamps[i].append(append(out, x.sums[i].VMID...))
			out = x.sums[i].append(out)
		}
	}
	sum := sha256.Sum256(out[len(indexMagic)+sha256.Size:])
	copy(out[len(indexMagic):], sum[:])
	return out
}

func (f fileStamp) append(out []byte) []byte {
	out = binary.AppendUvarint(out, f.inode)
	out = binary.AppendUvarint(out, f.size)
	out = binary.AppendVarint(out, f.mtime)
	return binary.AppendVarint(out, f.changed)
}

func (s *Summary) append(out []byte) []byte {
	var flags byte
	if s.HasKey {
		flags = 1
	}
	times := s.times()
	for i, t := range times {
		if !t.IsZero() {
			flags |= 2 << i
		}
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(len(s.Source)))
	out = append(out, s.Source...)
	for _, t := range times {
		if !t.IsZero() {
			out = binary.AppendVarint(out, t.Unix())
			out = binary.AppendUvarint(out, uint64(t.Nanosecond()))
		}
	}
	return out
}

// decode takes what an index says of ids; false if it is not what was written.
func (x *recordIndex) decode(data []byte, ids []string) bool {
	body, ok := bytes.CutPrefix(data, []byte(indexMagic))
	if !ok || len(body) < sha256.Size {
		return false
	}
	if sum := sha256.Sum256(body[sha256.Size:]); !bytes.Equal(sum[:], body[:sha256.Size]) {
		return false
	}
	d := indexDecoder{rest: body[sha256.Size:]}
	at := 0
	for len(d.rest) > 0 && !d.bad {
		id := d.take(36)
		for at < len(ids) && ids[at] < string(id) {
			at++
		}
		stamp, sum := d.vm()
		if at == len(ids) || ids[at] != string(id) {
			x.strangers++
			continue
		}
		x.stamps[at], x.sums[at] = stamp, sum
		x.sums[at].VMID = ids[at]
	}
	return !d.bad
}

// indexDecoder reads an index from its beginning; bad tells that it ended early.
type indexDecoder struct {
	rest   []byte
	bad    bool
	source string // of the last row: nearly all have the same
}

func (d *indexDecoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.rest, d.bad = nil, true
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *indexDecoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.take(uint64(n)) // a negative n is more than there is
	return v
}

func (d *indexDecoder) int() int64 {
	v, n := binary.Varint(d.rest)
	d.take(uint64(n))
	return v
}

func (d *indexDecoder) vm() (stamp fileStamp, sum Summary) {
	stamp = fileStamp{inode: d.uint(), size: d.uint(), mtime: d.int(), changed: d.int()}
	flags := byte(0)
	if b := d.take(1); b != nil {
		flags = b[0]
	}
	sum.HasKey = flags&1 != 0
	if source := d.take(d.uint()); string(source) != d.source {
		d.source = string(source)
	}
	sum.Source = d.source
	for i, t := range sum.times() {
		if flags&(2<<i) != 0 {
			sec, ns := d.int(), d.uint()
			*t = time.Unix(sec, int64(ns)).UTC()
		}
	}
	return stamp, sum
}
