package cmd

import (
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// watchTeller tells what the rounds of pull --watch bring: on stdout what
// arrived, on stderr what is wrong, when it begins, once a minute while it
// lasts, and when it is over.
type watchTeller struct {
	env      *Env
	now      func() time.Time
	troubles map[string]*trouble          // by what is in trouble
	folders  map[string]remote.PullResult // of the VMs of the last round, by id

	mu       sync.Mutex
	progress *ui.Progress // while bytes of a round arrive
}

// trouble is one that was told and is not over.
type trouble struct {
	told  time.Time
	alive bool // met in this round
}

// tellAgain is how often a lasting trouble is told.
const tellAgain = time.Minute

// event shows progress while a round has bytes to fetch, and writes the events
// that a script can use.
func (t *watchTeller) event(vm inventory.VM, e remote.TransferEvent) {
	t.mu.Lock()
	if t.progress == nil && e.Bytes > 0 {
		t.progress = t.env.Streams.NewProgress()
	}
	if t.progress != nil {
		t.progress.Update(progressOf(vm, e))
	}
	t.mu.Unlock()
	switch e.Kind {
	case remote.EventRetry:
		t.env.Streams.Warnf("%s: %s", vm.Title(), e.Reason)
	case remote.EventFile, remote.EventDeleted:
	default:
		return
	}
	if t.env.Format().Lines() {
		_ = ui.PrintLine(t.env.Streams, eventLine(vm, e))
	}
}

func (t *watchTeller) stopProgress() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.progress != nil {
		t.progress.Stop()
		t.progress = nil
	}
}

// round tells what a round brought, if anything.
func (t *watchTeller) round(r remote.WatchRound) {
	t.stopProgress()
	if r.Outage != nil {
		t.trouble("the API", r.Outage.Why+"; going on with the VMs that are recorded")
	}
	if len(r.Results) == 0 && r.Err != nil {
		t.trouble("watch", r.Err.Error())
	}
	for _, res := range r.Results {
		t.result(res)
	}
	if r.Outage == nil && r.Err == nil || len(r.Results) > 0 {
		t.gone(r.Results)
	}
	for about, was := range t.troubles {
		if !was.alive {
			delete(t.troubles, about)
			t.env.Streams.Notef("%s %s: works again", t.clock(), about)
		}
		was.alive = false
	}
}

// result tells what came from one VM.
func (t *watchTeller) result(r remote.PullResult) {
	name := safe.Clean(orID(r.VMName, r.VMID))
	news := r.Files+r.Summary.Links+r.Summary.Deleted > 0
	switch {
	case r.Err != nil:
		news = t.trouble(name, r.Error) || news
	case len(r.Failures) > 0:
		news = t.trouble(name, ui.Count(r.Failed, "file")+" did not come, the first: "+failureText(r.Failures[0])) || news
	}
	warnOfSelfRunning(t.env, r)
	switch {
	case !news:
	case t.env.Format().Lines():
		_ = ui.PrintLine(t.env.Streams, pullDone{Event: "result", PullResult: r})
	case r.Summary.Deleted > 0:
		_ = printLine(t.env, t.arrived(name, r)+", "+ui.Count(r.Summary.Deleted, "item")+" removed")
	case r.Files > 0 || r.Summary.Links > 0:
		_ = printLine(t.env, t.arrived(name, r))
	}
}

func (t *watchTeller) arrived(name string, r remote.PullResult) string {
	return t.clock() + " " + name + ": " + ui.Count(r.Files, "file") + ", " + ui.Bytes(r.Bytes) + " into " + safe.Clean(r.Dest)
}

// gone tells which VMs of the last round are not in this one.
func (t *watchTeller) gone(results []remote.PullResult) {
	now := map[string]remote.PullResult{}
	for _, r := range results {
		now[r.VMID] = r
		delete(t.folders, r.VMID)
	}
	for _, r := range t.folders {
		name := safe.Clean(orID(r.VMName, r.VMID))
		delete(t.troubles, name)
		t.env.Streams.Notef("%s %s: no longer among the VMs; what came from it stays in %s", t.clock(), name, safe.Clean(r.Dest))
	}
	t.folders = now
}

// trouble tells what is wrong, unless that was told a moment ago; it returns
// whether it told.
func (t *watchTeller) trouble(about, text string) bool {
	now, was := t.now(), t.troubles[about]
	if was == nil || now.Sub(was.told) >= tellAgain {
		t.env.Streams.Warnf("%s %s: %s", t.clock(), about, safe.Clean(text))
		t.troubles[about] = &trouble{told: now, alive: true}
		return true
	}
	was.alive = true
	return false
}

func (t *watchTeller) clock() string { return t.now().Format(time.TimeOnly) }

// failureText is a failure on one line: names of files are the VM's word.
func failureText(e remote.PullFailure) string {
	return shownPath(e.Path) + ": " + safe.Clean(e.Reason)
}

// shownPath is a path fit for a line, cut in the middle if it is very long.
func shownPath(p string) string {
	const most = 160
	runes := []rune(safe.Clean(p))
	if len(runes) > most {
		return string(runes[:most/2]) + "…" + string(runes[len(runes)-most/2:])
	}
	return string(runes)
}
