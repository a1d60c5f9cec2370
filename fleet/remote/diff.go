package remote

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// What a VM's comparison came to.
const (
	DiffSame      = "same"
	DiffDifferent = "different"
	DiffUnknown   = "unknown" // not all of it could be compared, and what could is the same
)

// DiffResult is how the copy of one VM's files here compares with the VM.
type DiffResult struct {
	VMID        string        `json:"vm_id"`
	VMName      string        `json:"name,omitempty"`
	Dest        string        `json:"dest"`
	State       string        `json:"state"` // same, different or unknown
	Checksum    bool          `json:"checksum"`
	Same        int64         `json:"same"`
	Changed     int64         `json:"changed"`
	Missing     int64         `json:"missing"`
	Extra       int64         `json:"extra"`
	Skipped     int64         `json:"skipped"`
	Outward     int64         `json:"outward_links"`
	Dotfiles    int64         `json:"dotfiles"`
	Failed      int64         `json:"failed"`
	Differences []Difference  `json:"differences"`
	Failures    []PullFailure `json:"failures"`
	Error       string        `json:"error,omitempty"`
}

// Difference is an item that is not here as it is on the VM.
type Difference struct {
	Path       string         `json:"path"` // below Dest
	PathBase64 []byte         `json:"path_base64,omitempty"`
	State      transfer.State `json:"state"` // changed, missing or extra
	Type       transfer.Type  `json:"type"`
	Why        string         `json:"why,omitempty"` // what differs of what is changed
	VM         *Side          `json:"vm,omitempty"`
	Here       *Side          `json:"here,omitempty"`
}

// Side is an item at one end.
type Side struct {
	Size    int64     `json:"size"`        // bytes; 0 of what is no file
	ModTime time.Time `json:"modified_at"` // in whole seconds
}

// MaxDifferences bounds the differences of one VM that are listed; the counts go on.
const MaxDifferences = 100_000

// Diff compares what Pull would fetch with what is here, by size and time or with
// Options.Checksum by content, and writes nothing here or on the VMs. The error is
// nil when all could be compared, whatever came of it; otherwise it is that of Pull.
func (rm *Remote) Diff(ctx context.Context, r PullRequest) ([]DiffResult, error) {
	var mu sync.Mutex
	byVM := map[string]*DiffResult{}
	for _, item := range r.Items {
		byVM[item.VM.ID] = &DiffResult{Differences: []Difference{}}
	}
	r.Options.DryRun, r.Options.FreeSpace, r.Options.MaxTotal = true, 0, 0
	r.found = func(vm inventory.VM, d transfer.Difference) {
		mu.Lock()
		defer mu.Unlock()
		byVM[vm.ID].add(d)
	}
	pulled, err := rm.Pull(ctx, r)
	results := make([]DiffResult, 0, len(pulled))
	for _, p := range pulled {
		results = append(results, byVM[p.VMID].of(p, r.Options.Checksum))
	}
	return results, diffError(err, results)
}

// add counts a difference, and lists it.
func (r *DiffResult) add(d transfer.Difference) {
	switch d.State {
	case transfer.Changed:
		r.Changed++
	case transfer.Missing:
		r.Missing++
	case transfer.Extra:
		r.Extra++
	}
	if len(r.Differences) >= MaxDifferences {
		return
	}
	line := Difference{Path: d.Path, PathBase64: safe.Bytes(d.Path), State: d.State, Type: d.Type, Why: d.Why}
	if d.State != transfer.Extra {
		line.VM = sideOf(d.VM)
	}
	if d.State != transfer.Missing {
		line.Here = sideOf(d.Here)
	}
	r.Differences = append(r.Differences, line)
}

func sideOf(s transfer.Side) *Side {
	return &Side{Size: s.Size, ModTime: s.ModTime.UTC().Truncate(time.Second)}
}

// of joins what was found with what became of the comparison.
func (r *DiffResult) of(p PullResult, checksum bool) DiffResult {
	r.VMID, r.VMName, r.Dest, r.Checksum = p.VMID, p.VMName, p.Dest, checksum
	r.Same, r.Skipped, r.Outward, r.Dotfiles = p.Unchanged, p.Skipped, p.Outward, p.Dotfiles
	r.Failed, r.Failures, r.Error = p.Failed, p.Failures, p.Error
	slices.SortFunc(r.Differences, func(a, b Difference) int { return strings.Compare(a.Path, b.Path) })
	switch {
	case r.Changed+r.Missing+r.Extra > 0:
		r.State = DiffDifferent
	case p.Err != nil || p.Failed > 0:
		r.State = DiffUnknown
	default:
		r.State = DiffSame
	}
	return *r
}

// diffError tells of files that could not be compared in the words of a comparison.
func diffError(err error, results []DiffResult) error {
	var failed int64
	for _, r := range results {
		if r.Error != "" {
			return err
		}
		failed += r.Failed
	}
	if failed == 0 {
		return err
	}
	e := &problem.Error{Kind: problem.Partial, What: problem.Counted(failed, "file") + " could not be compared", Origin: problem.OriginRemote, Err: err,
		Next: "a pull would not bring them either; leave them out with --exclude"}
	for _, r := range results {
		if len(r.Failures) > 0 {
			f := r.Failures[0]
			e.Why = safe.Line(f.Path) + ": " + f.Reason
			break
		}
	}
	return e
}
