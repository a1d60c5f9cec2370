package keystore

import (
	"context"
	"time"
)

// Summary is what a listing shows of a VM's record.
type Summary struct {
	VMID      string
	HasKey    bool
	Source    string
	FetchedAt time.Time
	ProvedAt  time.Time
	RefusedAt time.Time
	GoneAt    time.Time
	ReachedAt time.Time // a login last worked, with whatever key
}

func (r Record) summary() Summary {
	sum := Summary{VMID: r.VMID, HasKey: r.HasKey(), Source: r.Source, FetchedAt: r.FetchedAt, ProvedAt: r.ProvedAt, RefusedAt: r.RefusedAt, GoneAt: r.GoneAt}
	if len(r.Endpoints) > 0 {
		sum.ReachedAt = r.Endpoints[0].WorkedAt
	}
	return sum
}

// Summaries sums up the records of all VMs, the ids that IDs has returned, in
// their order, as Records would: one that cannot be used is a Finding. A record
// that is the very file of last time is not read again; see recordindex.go.
func (s *Store) Summaries(ids []string) ([]Summary, []Finding) {
	x, errs := s.readIndex(ids), make([]error, len(ids))
	stamper, now := s.newStamper(), s.clock()
	inParallel(len(ids), func(i int) {
		stamp := stamper.stamp(ids[i]) // before reading: what comes later has another stamp
		if stamp != (fileStamp{}) && stamp == x.stamps[i] {
			return
		}
		rec, err := s.Record(ids[i])
		x.sums[i], x.stamps[i], errs[i] = rec.summary(), fileStamp{}, err
		if err == nil && settled(stamp, &x.sums[i], now) {
			x.stamps[i] = stamp
			x.fresh.Add(1)
		}
	})
	stamper.close()
	s.keepIndex(x)

	out := x.sums[:0]
	var findings []Finding
	for i, err := range errs {
		switch {
		case err == nil:
			out = append(out, x.sums[i])
		case !IsNotFound(err): // an empty folder: somebody is just writing it
			findings = append(findings, findingOf(ids[i], err))
		}
	}
	return out, findings
}

// worthIndexing is how many records must be new to the index before it is
// written: reading fewer costs less than a write.
const worthIndexing = 64

// keepIndex writes the index anew if that saves the next listing much. It
// helps, so it waits for nobody, and nothing is told of what hinders it: a full
// or read-only disk, or another writer.
func (s *Store) keepIndex(x *recordIndex) {
	if x.fresh.Load() < worthIndexing && x.strangers == 0 {
		return
	}
	unlock, err := s.lock(context.Background(), lockIndex, false)
	if err != nil {
		return
	}
	defer unlock()
	t := &tx{s: s, lock: lockIndex}
	t.recoverOwn()
	if t.put(fileIndex, x.encode()) == nil {
		t.unmark()
	} else {
		t.recoverOwn()
	}
}
