package keystore

import "path/filepath"

// batch is a record and the key files it lists, replaced together.
type batch struct {
	t     *tx
	id    string
	files []staged
	done  int // how many are under their names
}

func (b *batch) add(name string, data []byte) error {
	st, err := b.t.stage(filepath.Join(vmDir(b.id), name), data)
	if err == nil {
		b.files = append(b.files, st)
	}
	return err
}

func (b *batch) addRecord(r Record) error {
	data, err := encodeRecord(r)
	if err != nil {
		return err
	}
	return b.add(fileRecord, data)
}

// commit renames the files in the order they were added. Those before barrier
// are durable before the others go; 0 means that the order does not matter,
// because nothing is replaced.
func (b *batch) commit(barrier int) error {
	for i, f := range b.files {
		if i == barrier && i > 0 {
			if err := b.t.sync(vmDir(b.id)); err != nil {
				return err
			}
		}
		if err := f.commit(); err != nil {
			return err
		}
		b.done++
	}
	return b.t.sync(vmDir(b.id))
}

// discard removes what was not committed.
func (b *batch) discard() {
	for _, f := range b.files[b.done:] {
		if err := discard(f.temp); err != nil {
			b.t.s.untidy(err)
		}
	}
}
