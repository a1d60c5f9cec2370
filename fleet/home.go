package fleet

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// homeDoc is the document that says whose work was pulled whole, when and
// whereto.
const homeDoc = "home"

// brought is its entry for one VM.
type brought struct {
	Dest string    `json:"dest"` // absolute
	At   time.Time `json:"at"`
}

// Home says how much of the fleet's work is on this machine: that of VMs whose
// pull paths were pulled whole into a folder that is still there. What the VMs
// wrote since then is not. The JSON names are stable.
type Home struct {
	VMs     int       `json:"vms"`               // whose work is home
	Of      int       `json:"of"`                // VMs with a recorded key
	SinceAt time.Time `json:"since_at,omitzero"` // of the oldest of these pulls
	Folder  string    `json:"folder,omitempty"`  // that holds all of it, one folder for each VM
}

// complete reports whether the work of every VM that can be reached is home.
func (h Home) complete() bool { return h.Of > 0 && h.VMs == h.Of }

// NoteHome records the VMs whose pull paths a pull has brought home whole. It
// is a convenience: a failure is told as a detail.
func (f *Fleet) NoteHome(ctx context.Context, req remote.PullRequest, results []remote.PullResult) {
	o := req.Options
	if o.DryRun || o.GitIgnore || len(o.Include)+len(o.Exclude) > 0 || o.MaxSize > 0 || !o.Newer.IsZero() {
		return
	}
	whole := map[string]brought{}
	for _, item := range req.Items {
		n := slices.IndexFunc(results, func(r remote.PullResult) bool { return r.VMID == item.VM.ID && r.Err == nil && r.Failed == 0 })
		if n < 0 || len(item.Paths) > 0 && !slices.Contains(item.Paths, "") {
			continue
		}
		if dest, err := filepath.Abs(results[n].Dest); err == nil {
			whole[item.VM.ID] = brought{Dest: dest, At: f.o.Now().UTC().Truncate(time.Second)}
		}
	}
	if len(whole) == 0 {
		return
	}
	err := f.keys.Doc(homeDoc).Update(context.WithoutCancel(ctx), func(old []byte) ([]byte, error) {
		known := decodeHome(old)
		for id, b := range whole {
			known[id] = b
		}
		data, err := json.MarshalIndent(known, "", "  ")
		return append(data, '\n'), err
	})
	if err != nil {
		f.o.Logf("what is home could not be recorded: %v", err)
	}
}

// decodeHome reads the document; one that cannot be read says nothing.
func decodeHome(data []byte) map[string]brought {
	known := map[string]brought{}
	if json.Unmarshal(data, &known) != nil || known == nil {
		return map[string]brought{}
	}
	return known
}

// home is what of the listed VMs' work is on this machine.
func (f *Fleet) home(vms []inventory.VM) Home {
	data, _ := f.keys.Doc(homeDoc).Read() // none recorded yet
	known, h := decodeHome(data), Home{}
	folders := map[string]bool{}
	for _, vm := range vms {
		if !vm.Key.Recorded {
			continue
		}
		h.Of++
		b, ok := known[vm.ID]
		if info, err := os.Stat(b.Dest); !ok || err != nil || !info.IsDir() {
			continue
		}
		if h.VMs++; h.SinceAt.IsZero() || b.At.Before(h.SinceAt) {
			h.SinceAt = b.At
		}
		folders[filepath.Dir(b.Dest)] = true
		h.Folder = filepath.Dir(b.Dest)
	}
	if len(folders) != 1 {
		h.Folder = ""
	}
	return h
}

// freshFor is how long after a complete pull nothing is asked for but to wait.
const freshFor = time.Hour

// fresh reports whether the work of every VM was brought home just now.
func (h Home) fresh(now time.Time) bool { return h.complete() && now.Sub(h.SinceAt) < freshFor }

// bringHome is the advice of an outage.
func (h Home) bringHome(now time.Time) string {
	dest := "./rescue"
	if h.Folder != "" {
		dest = safe.Word(h.Folder)
	}
	switch pull := "vers-fleet pull --all " + dest; {
	case !h.complete():
		return "bring the work home: " + pull
	case h.fresh(now):
		return "the work of all VMs is home since " + problem.Clock(h.SinceAt) + "; work on, or wait for the API: vers-fleet wait"
	default:
		return "bring home what came since " + problem.Clock(h.SinceAt) + ": " + pull
	}
}
