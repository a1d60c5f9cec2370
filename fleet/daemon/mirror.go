package daemon

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// Mirror says where the fleet's work is kept: a folder for each VM.
type Mirror struct {
	Folder string   // "" = nowhere
	Paths  []string // what is fetched from each VM; none = the configured pull paths
	Keep   int      // last states kept of former VMs of one name; 0 = all
}

// MirrorVM is the mirror of one VM. The JSON names are stable.
type MirrorVM struct {
	VMID      string    `json:"vm_id"`
	Name      string    `json:"name"`
	Folder    string    `json:"folder"`
	HomeAt    time.Time `json:"home_at,omitzero"` // when all of it was home last
	LastState bool      `json:"last_state"`       // the VM is gone or accepts no SSH: no more comes
	GoneAt    time.Time `json:"gone_at,omitzero"` // since when it is no longer listed
	Error     string    `json:"error,omitempty"`  // why its last round brought not all
	Behind    bool      `json:"behind"`           // nothing has come for a quarter of an hour, although it should
}

// How often a VM's mirror is brought up to date beside the ends of answers, and
// from when on it is behind.
const (
	mirrorEvery = 3 * time.Minute
	behindAfter = 15 * time.Minute
)

// mirrorDoc is the document that says whose folder is whose.
const mirrorDoc = "mirror"

// kept is its entry for one VM.
type kept struct {
	Name   string    `json:"name"`
	Folder string    `json:"folder"` // absolute
	HomeAt time.Time `json:"home_at,omitzero"`
	GoneAt time.Time `json:"gone_at,omitzero"`
	Moved  bool      `json:"moved,omitempty"` // another VM has its name now
}

type keptVMs struct {
	Version int             `json:"version"`
	VMs     map[string]kept `json:"vms"`
}

func decodeKept(data []byte) keptVMs {
	var k keptVMs
	if json.Unmarshal(data, &k) != nil || k.VMs == nil {
		k = keptVMs{VMs: map[string]kept{}}
	}
	k.Version = 1
	return k
}

// mirror keeps the work of a fleet here.
type mirror struct {
	w *work

	mu      sync.Mutex
	woken   map[string]chan struct{}
	since   map[string]time.Time         // since when each VM is mirrored
	results map[string]remote.PullResult // the last of each VM
	homeAt  map[string]time.Time         // when all of a VM was home
	unnoted map[string]remote.PullResult // what is home and is not recorded yet
	low     string                       // why nothing can be written, "" if it can
}

func newMirror(w *work) *mirror {
	return &mirror{w: w, woken: map[string]chan struct{}{}, since: map[string]time.Time{}, results: map[string]remote.PullResult{},
		homeAt: map[string]time.Time{}, unnoted: map[string]remote.PullResult{}}
}

// wake brings a VM's mirror up to date at once.
func (m *mirror) wake(vmID string) {
	select {
	case m.wakes(vmID) <- struct{}{}:
	default: // it is to be woken already
	}
}

func (m *mirror) wakes(vmID string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.woken[vmID] == nil {
		m.woken[vmID] = make(chan struct{}, 1)
	}
	return m.woken[vmID]
}

// minFree is what stays free on the disk of the mirror, in bytes.
const minFree = 256 << 20

// run mirrors until ctx ends. Nothing is ever deleted because it is gone from a
// VM, or because the VM is.
func (m *mirror) run(ctx context.Context) {
	paths := m.w.o.Mirror.Paths
	r := remote.WatchRequest{
		Selection: inventory.Selection{All: true}, Mode: outage.Offline, Interval: mirrorEvery,
		Paths:  func(inventory.VM) []string { return paths },
		Skip:   func(vm inventory.VM) bool { return !vm.Key.Recorded || !reachable(vm) },
		Wake:   func(vmID string) <-chan struct{} { return m.wakes(vmID) },
		Pull:   remote.PullRequest{Dest: m.w.o.Mirror.Folder, PerVM: true, Options: remote.PullOptions{FreeSpace: minFree}},
		OnList: func(l remote.WatchList) { m.listed(ctx, l) }, OnResult: func(res remote.PullResult) { m.came(ctx, res) },
	}
	for ctx.Err() == nil {
		if err := m.w.o.Remote.Watch(ctx, r); ctx.Err() == nil {
			m.w.o.Log.Warn("the mirror begins anew", "error", err)
			select {
			case <-m.w.o.After(keepEvery):
			case <-ctx.Done():
			}
		}
	}
	m.note(context.WithoutCancel(ctx))
}

// listed claims a folder for each VM.
func (m *mirror) listed(ctx context.Context, l remote.WatchList) {
	for i, vm := range l.VMs {
		if i >= len(l.Dests) {
			break
		}
		if err := m.claim(ctx, vm, l.Dests[i]); err != nil {
			m.w.o.Log.Warn("the folder of a VM", "vm", vm.Title(), "error", err)
		}
	}
}

// claim makes dest the folder of the VM. What a former VM of that name has left
// there is moved aside, as its last state; what this VM has under a former name
// is moved there. An entry is written before its folder is moved or after, so
// that a process that dies in between leaves nothing that the next claim could
// take for another VM's.
func (m *mirror) claim(ctx context.Context, vm inventory.VM, dest string) error {
	m.mu.Lock()
	if m.since[vm.ID].IsZero() {
		m.since[vm.ID] = m.w.o.Now()
	}
	m.mu.Unlock()
	return m.w.o.Store.Doc(mirrorDoc).Update(context.WithoutCancel(ctx), func(old []byte) ([]byte, error) {
		k := decodeKept(old)
		mine := k.VMs[vm.ID]
		if mine.Folder == dest && mine.Name == vm.Name && mine.GoneAt.IsZero() {
			return nil, nil
		}
		for id, other := range k.VMs {
			if id == vm.ID || other.Folder != dest {
				continue
			}
			aside := asideOf(other, id)
			if err := move(other.Folder, aside); err != nil {
				return nil, err
			}
			other.Folder, other.Moved = aside, true
			k.VMs[id] = other
			m.w.o.Log.Info("kept as the last state of a former VM", "vm", title(other.Name, id), "folder", aside)
			m.prune(k, other.Name)
		}
		if mine.Folder != "" && mine.Folder != dest {
			if err := move(mine.Folder, dest); err != nil {
				return nil, err
			}
		}
		mine.Name, mine.Folder, mine.GoneAt, mine.Moved = vm.Name, dest, time.Time{}, false
		k.VMs[vm.ID] = mine
		return json.MarshalIndent(k, "", "  ")
	})
}

// asideOf is where the last state of a former VM goes; the same whenever asked.
func asideOf(k kept, id string) string {
	when := ""
	if !k.HomeAt.IsZero() {
		when = k.HomeAt.UTC().Format("-20060102T150405Z")
	}
	return k.Folder + ".last" + when + "-" + id
}

// move renames a folder, unless it is moved already or there is none.
func move(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	if err := os.Rename(from, to); err != nil && !os.IsNotExist(err) {
		return problem.OfStorage("move "+from, err)
	}
	return nil
}

// prune removes the oldest last states of a name, as far as there are more than
// are to be kept.
func (m *mirror) prune(k keptVMs, name string) {
	if m.w.o.Mirror.Keep <= 0 {
		return
	}
	var former []string
	for id, v := range k.VMs {
		if v.Moved && v.Name == name {
			former = append(former, id)
		}
	}
	slices.SortFunc(former, func(a, b string) int { return k.VMs[b].HomeAt.Compare(k.VMs[a].HomeAt) })
	for _, id := range former[min(len(former), m.w.o.Mirror.Keep):] {
		folder := k.VMs[id].Folder
		if filepath.Dir(folder) != m.w.o.Mirror.Folder || !strings.Contains(filepath.Base(folder), ".last") {
			continue // of another mirror
		}
		if err := os.RemoveAll(folder); err != nil {
			m.w.o.Log.Warn("an old last state could not be removed", "folder", folder, "error", err)
			continue
		}
		m.w.o.Log.Info("removed an old last state, as mirror.keep says", "folder", folder)
		delete(k.VMs, id)
	}
}

// came takes what a round has brought.
func (m *mirror) came(ctx context.Context, res remote.PullResult) {
	whole := res.Err == nil && res.Failed == 0
	now := m.w.o.Now().UTC().Truncate(time.Second)
	m.mu.Lock()
	before := m.results[res.VMID]
	m.results[res.VMID] = res
	if whole {
		m.homeAt[res.VMID], m.unnoted[res.VMID] = now, res
	}
	if m.low = ""; problem.KindOf(res.Err) == problem.Storage {
		m.low = res.Error
	}
	m.mu.Unlock()
	log := m.w.o.Log.With("vm", title(res.VMName, res.VMID))
	switch {
	case res.Files > 0:
		log.Info("brought home", "files", res.Files, "bytes", res.Bytes, "folder", res.Dest)
	case !whole && res.Error != before.Error:
		log.Warn("not brought home", "failed", res.Failed, "error", res.Error)
	}
	if res.Files > 0 {
		m.note(ctx)
	}
}

// note records what is home.
func (m *mirror) note(ctx context.Context) {
	m.mu.Lock()
	unnoted, at := m.unnoted, map[string]time.Time{}
	m.unnoted = map[string]remote.PullResult{}
	for id := range unnoted {
		at[id] = m.homeAt[id]
	}
	m.mu.Unlock()
	listed := map[string]bool{}
	for _, vm := range m.w.fleet() {
		listed[vm.ID] = true
	}
	err := m.w.o.Store.Doc(mirrorDoc).Update(context.WithoutCancel(ctx), func(old []byte) ([]byte, error) {
		k := decodeKept(old)
		for id, v := range k.VMs {
			if home, ok := at[id]; ok {
				v.HomeAt = home
			}
			if gone := len(listed) > 0 && !listed[id]; gone && v.GoneAt.IsZero() {
				v.GoneAt = m.w.o.Now().UTC().Truncate(time.Second)
			}
			k.VMs[id] = v
		}
		return json.MarshalIndent(k, "", "  ")
	})
	if err != nil {
		m.w.o.Log.Warn("what is home could not be recorded", "error", err)
	}
	m.noteHome(ctx, unnoted)
}

// noteHome tells the fleet, whose status knows what is home, where all that a
// pull fetches is mirrored.
func (m *mirror) noteHome(ctx context.Context, unnoted map[string]remote.PullResult) {
	if len(m.w.o.Mirror.Paths) > 0 || len(unnoted) == 0 {
		return
	}
	var req remote.PullRequest
	var results []remote.PullResult
	for id, res := range unnoted {
		req.Items = append(req.Items, remote.PullItem{VM: inventory.VM{ID: id, Name: res.VMName}})
		results = append(results, res)
	}
	m.w.o.NoteHome(ctx, req, results)
}

// keepUp is the loop that records what is home, and tells what is behind.
func (m *mirror) keepUp(ctx context.Context) error {
	m.note(ctx)
	var list []MirrorVM
	for _, v := range m.vms() {
		if !v.LastState {
			list = append(list, v)
		}
	}
	m.mu.Lock()
	low := m.low
	m.mu.Unlock()
	events, err := m.w.o.Events.observeMirror(ctx, list, low)
	m.w.tell(events)
	return err
}

// vms are the mirrors of all VMs, those of former ones too.
func (m *mirror) vms() []MirrorVM {
	data, _ := m.w.o.Store.Doc(mirrorDoc).Read() // none yet
	listed := map[string]inventory.VM{}
	for _, vm := range m.w.fleet() {
		listed[vm.ID] = vm
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.w.o.Now()
	out := []MirrorVM{}
	for id, k := range decodeKept(data).VMs {
		vm, there := listed[id]
		v := MirrorVM{VMID: id, Name: k.Name, Folder: k.Folder, HomeAt: k.HomeAt, GoneAt: k.GoneAt, LastState: !there || !reachable(vm)}
		if at := m.homeAt[id]; at.After(v.HomeAt) {
			v.HomeAt = at
		}
		if !v.LastState {
			v.Error = m.results[id].Error
			from := m.since[id]
			if v.HomeAt.After(from) {
				from = v.HomeAt
			}
			v.Behind = !from.IsZero() && now.Sub(from) > behindAfter
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b MirrorVM) int { return strings.Compare(a.Folder, b.Folder) })
	return out
}
