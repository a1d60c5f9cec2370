package keystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
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

// indexRow is one VM of the index, or of a listing.
type indexRow struct {
	stamp fileStamp
	sum   Summary
	fresh bool // read just now
}

// settled tells whether the row may go into the index: its stamp tells, and it
// comes back from there as it is.
func (r *indexRow) settled(now time.Time) bool {
	for _, t := range r.sum.times() {
		if !t.IsZero() && t.Location() != time.UTC {
			return false
		}
	}
	return r.stamp.changed < now.Add(-settleTime).UnixNano() && r.stamp.changed > 0
}

func (s *Summary) times() [5]*time.Time {
	return [...]*time.Time{&s.FetchedAt, &s.ProvedAt, &s.RefusedAt, &s.GoneAt, &s.ReachedAt}
}

// recordIndex is what was read of an index: a row for each id that was asked for.
type recordIndex struct {
	rows      []indexRow // nil: there is no index
	strangers int        // VMs in it that were not asked for
}

func (x recordIndex) row(i int) indexRow {
	if x.rows == nil {
		return indexRow{}
	}
	return x.rows[i]
}

// readIndex reads what the index says of the ids, which are sorted.
func (s *Store) readIndex(ids []string) recordIndex {
	if len(ids) < worthIndexing {
		return recordIndex{}
	}
	data, err := readPrivate("read index", s.path(fileIndex), maxIndex)
	if err != nil {
		return recordIndex{}
	}
	x, ok := decodeIndex(data, ids)
	if !ok {
		return recordIndex{}
	}
	return x
}

// encodeIndex is magic, checksum, and the rows that have a stamp, in order.
func encodeIndex(rows []indexRow) []byte {
	out := make([]byte, len(indexMagic)+sha256.Size, len(rows)*100)
	copy(out, indexMagic)
	for i := range rows {
		if rows[i].stamp != (fileStamp{}) {
			out = rows[i].append(out)
		}
	}
	sum := sha256.Sum256(out[len(indexMagic)+sha256.Size:])
	copy(out[len(indexMagic):], sum[:])
	return out
}

func (r *indexRow) append(out []byte) []byte {
	out = append(out, r.sum.VMID...)
	out = binary.AppendUvarint(out, r.stamp.inode)
	out = binary.AppendUvarint(out, r.stamp.size)
	out = binary.AppendVarint(out, r.stamp.mtime)
	out = binary.AppendVarint(out, r.stamp.changed)
	var flags byte
	if r.sum.HasKey {
		flags = 1
	}
	times := r.sum.times()
	for i, t := range times {
		if !t.IsZero() {
			flags |= 2 << i
		}
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(len(r.sum.Source)))
	out = append(out, r.sum.Source...)
	for _, t := range times {
		if !t.IsZero() {
			out = binary.AppendVarint(out, t.Unix())
			out = binary.AppendUvarint(out, uint64(t.Nanosecond()))
		}
	}
	return out
}

// decodeIndex picks the rows of ids from an index; false if it is not what was
// written.
func decodeIndex(data []byte, ids []string) (recordIndex, bool) {
	body, ok := bytes.CutPrefix(data, []byte(indexMagic))
	if !ok || len(body) < sha256.Size {
		return recordIndex{}, false
	}
	if sum := sha256.Sum256(body[sha256.Size:]); !bytes.Equal(sum[:], body[:sha256.Size]) {
		return recordIndex{}, false
	}
	x := recordIndex{rows: make([]indexRow, len(ids))}
	d := indexDecoder{rest: body[sha256.Size:]}
	at := 0
	for len(d.rest) > 0 && !d.bad {
		id := d.take(36)
		for at < len(ids) && ids[at] < string(id) {
			at++
		}
		var into indexRow
		row := &into
		if at < len(ids) && ids[at] == string(id) {
			row = &x.rows[at]
			row.sum.VMID = ids[at]
		} else {
			x.strangers++
		}
		d.row(row)
	}
	return x, !d.bad
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

func (d *indexDecoder) row(r *indexRow) {
	r.stamp = fileStamp{inode: d.uint(), size: d.uint(), mtime: d.int(), changed: d.int()}
	flags := byte(0)
	if b := d.take(1); b != nil {
		flags = b[0]
	}
	r.sum.HasKey = flags&1 != 0
	if source := d.take(d.uint()); string(source) != d.source {
		d.source = string(source)
	}
	r.sum.Source = d.source
	for i, t := range r.sum.times() {
		if flags&(2<<i) != 0 {
			sec, ns := d.int(), d.uint()
			*t = time.Unix(sec, int64(ns)).UTC()
		}
	}
}
