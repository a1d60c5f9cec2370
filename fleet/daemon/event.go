package daemon

import (
	"slices"
	"strings"
	"time"
)

// Type is what an event is of. The part before the dot is what it is about.
type Type string

// The types of events.
const (
	APIDown           Type = "api.down"           // the API answers no more
	APIUp             Type = "api.up"             // it answers again
	APILimited        Type = "api.limited"        // it asks for fewer calls (429)
	VMNew             Type = "vm.new"             // a VM is listed that was not
	VMGone            Type = "vm.gone"            // a VM is no longer listed
	VMPaused          Type = "vm.paused"          // a VM was paused or fell asleep
	VMRenamed         Type = "vm.renamed"         // a VM has another name
	KeyMissing        Type = "key.missing"        // no key of a VM could be recorded
	KeyRefused        Type = "key.refused"        // a VM refuses the recorded key
	LieutenantDone    Type = "lieutenant.done"    // its answer is complete
	LieutenantFailed  Type = "lieutenant.failed"  // its run failed, and nothing more follows by itself
	LieutenantWaiting Type = "lieutenant.waiting" // it has asked something
	LieutenantSilent  Type = "lieutenant.silent"  // it should work, and says nothing
	LieutenantCrashed Type = "lieutenant.crashed" // its process is gone, in the middle of an answer
	MirrorBehind      Type = "mirror.behind"      // nothing has come home from a VM for a quarter of an hour, although it should
	DiskLow           Type = "disk.low"           // the mirror has no room left
	QueueSent         Type = "queue.sent"         // a commit that had waited was taken
	QueueExpired      Type = "queue.expired"      // one had waited too long
)

// Types are all of them.
func Types() []Type {
	return []Type{APIDown, APIUp, APILimited, VMNew, VMGone, VMPaused, VMRenamed, KeyMissing, KeyRefused,
		LieutenantDone, LieutenantFailed, LieutenantWaiting, LieutenantSilent, LieutenantCrashed, MirrorBehind, DiskLow, QueueSent, QueueExpired}
}

// OfVM reports whether events of the type are about one VM.
func (t Type) OfVM() bool { return !t.about("api") && !t.about("disk") }

func (t Type) about(subject string) bool { return strings.HasPrefix(string(t), subject+".") }

// Event is one of them. The JSON names are stable.
type Event struct {
	Seq      int64     `json:"seq,omitempty"` // grows by one with each event of the profile; 0 = it was not recorded
	At       time.Time `json:"at"`            // when it was noticed
	Type     Type      `json:"event"`
	VMID     string    `json:"vm_id,omitempty"`
	Name     string    `json:"name,omitempty"`
	Text     string    `json:"text"`                       // for people, one line
	Since    time.Time `json:"since_at,omitzero"`          // since when what it tells is so, where that is known
	Lasted   float64   `json:"duration_seconds,omitempty"` // of the outage that is over
	Forecast string    `json:"forecast,omitempty"`         // what earlier outages say of the one that begins
	Former   string    `json:"former_name,omitempty"`
	Question string    `json:"question_id,omitempty"` // what send --answer takes
	CommitID string    `json:"commit_id,omitempty"`
}

// Title is what to call the VM that the event is about.
func (e Event) Title() string {
	if e.Name != "" {
		return e.Name
	}
	return e.VMID
}

// isOf reports whether the event is of one of the types, and about the VM unless
// that is "".
func (e Event) isOf(types []Type, vmID string) bool {
	return slices.Contains(types, e.Type) && (vmID == "" || e.VMID == vmID)
}
