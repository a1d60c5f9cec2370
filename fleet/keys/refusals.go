package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// refusalsDoc is the document of VMs whose key the API does not give: a
// listing may hold VMs of other owners, and a VM that is just being made may
// have none yet. keys sync from cron would ask about them every minute for ever.
const refusalsDoc = "no-key"

// A refused key is asked for again at once, for whoever has just mended it,
// then after a minute, after two, and so on up to an hour.
const (
	refusalFirst = time.Minute
	refusalMax   = time.Hour
)

// refusal is one VM's entry.
type refusal struct {
	Tries int       `json:"tries"`
	Next  time.Time `json:"next"` // not asked for again by a sync before
}

// refusals are the entries by VM id.
type refusals map[string]refusal

// refusals reads the entries. They only save calls, so a document that cannot
// be read is an empty one.
func (ks *Keys) refusals() refusals {
	data, err := ks.keys.Doc(refusalsDoc).Read()
	if err != nil {
		return refusals{}
	}
	return decodeRefusals(data)
}

func decodeRefusals(data []byte) refusals {
	var r refusals
	if json.Unmarshal(data, &r) != nil || r == nil {
		return refusals{}
	}
	return r
}

// putOff takes out the ids that it is too early to ask about.
func (r refusals) putOff(ids []string, now time.Time) (due []string, failed []SyncFailure) {
	failed = []SyncFailure{}
	for _, id := range ids {
		wait := r[id].Next.Sub(now)
		if wait <= 0 || wait > refusalMax { // the clock was set back
			due = append(due, id)
			continue
		}
		failed = append(failed, SyncFailure{VMID: id, Why: fmt.Sprintf("the API did not give its key when asked %d time(s); asked again in %s, or now with --refresh",
			r[id].Tries, wait.Round(time.Second))})
	}
	return due, failed
}

// noteRefusals records which of the ids asked about were refused.
func (ks *Keys) noteRefusals(before refusals, asked []string, refused map[string]bool) {
	relevant := len(refused) > 0
	for _, id := range asked {
		_, had := before[id]
		relevant = relevant || had
	}
	if !relevant {
		return
	}
	err := ks.keys.Doc(refusalsDoc).Volatile().Update(context.Background(), func(old []byte) ([]byte, error) {
		now := decodeRefusals(old)
		for _, id := range asked {
			if !refused[id] {
				delete(now, id)
				continue
			}
			tries := now[id].Tries + 1
			pause := time.Duration(0)
			if tries > 1 {
				pause = min(refusalFirst<<min(tries-2, 10), refusalMax)
			}
			now[id] = refusal{Tries: tries, Next: ks.o.Now().Add(pause).UTC()}
		}
		return json.Marshal(now)
	})
	if err != nil {
		ks.o.Logf("which keys were refused could not be recorded: %v", err)
	}
}
