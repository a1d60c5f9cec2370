package cmd

import (
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// watchTeller tells what pull --watch brings: on stdout what arrived, on stderr
// what is wrong, when it begins, once a minute while it lasts, and when it is
// over.
type watchTeller struct {
	env      *Env
	now      func() time.Time
	troubles map[string]time.Time // what is in trouble, and when that was told last
	folders  map[string]string    // where the files of each VM went, by id
	names    map[string]string    // of the VMs that are followed, by id

	mu       sync.Mutex
	progress *ui.Progress    // while bytes arrive
	busy     map[string]bool // from these VMs
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
	if e.Bytes > 0 {
		t.busy[vm.ID] = true
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

// stopProgress ends the display.
func (t *watchTeller) stopProgress() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.progress != nil {
		t.progress.Stop()
		t.progress = nil
	}
}

// notBusy ends the display if a VM was the last from which bytes came.
func (t *watchTeller) notBusy(id string) {
	t.mu.Lock()
	delete(t.busy, id)
	none := len(t.busy) == 0
	t.mu.Unlock()
	if none {
		t.stopProgress()
	}
}

// listed tells trouble with the list of VMs, and which VMs are no longer in it.
func (t *watchTeller) listed(l remote.WatchList) {
	const api, list = "the API", "watch"
	if l.Outage != nil {
		t.trouble(api, l.Outage.Why+"; going on with the VMs that are recorded")
	}
	if l.Err != nil {
		t.trouble(list, l.Err.Error())
		return
	}
	t.over(list)
	if l.Outage == nil {
		t.over(api)
	}
	now := map[string]string{}
	for _, vm := range l.VMs {
		now[vm.ID] = safe.Clean(vm.Title())
	}
	for id, name := range t.names {
		if now[id] == "" {
			delete(t.troubles, name)
			t.env.Streams.Notef("%s %s: no longer among the VMs%s", t.clock(), name, staysIn(t.folders[id]))
			t.notBusy(id)
		}
	}
	t.names = now
}

func staysIn(folder string) string {
	if folder == "" {
		return ""
	}
	return "; what came from it stays in " + safe.Clean(folder)
}

// late tells who is.
func (t *watchTeller) late(vm inventory.VM) {
	t.trouble(safe.Clean(vm.Title()), "nothing has come from it for half a minute; the others go on")
}

// result tells what came from one VM.
func (t *watchTeller) result(r remote.PullResult) {
	t.notBusy(r.VMID)
	t.folders[r.VMID] = r.Dest
	name := safe.Clean(orID(r.VMName, r.VMID))
	news := r.Files+r.Summary.Links+r.Deleted > 0
	switch {
	case r.Err != nil:
		news = t.trouble(name, r.Error) || news
	case len(r.Failures) > 0:
		news = t.trouble(name, ui.Count(r.Failed, "file")+" did not come, the first: "+failureText(r.Failures[0])) || news
	default:
		t.over(name)
	}
	warnOfSelfRunning(t.env, r)
	switch {
	case !news:
	case t.env.Format().Lines():
		_ = ui.PrintLine(t.env.Streams, pullDone{Event: "result", PullResult: r})
	case r.Deleted > 0:
		_ = printLine(t.env, t.arrived(name, r)+", "+ui.Count(r.Deleted, "item")+" removed")
	case r.Files > 0 || r.Summary.Links > 0:
		_ = printLine(t.env, t.arrived(name, r))
	}
}

func (t *watchTeller) arrived(name string, r remote.PullResult) string {
	return t.clock() + " " + name + ": " + ui.Count(r.Files, "file") + ", " + ui.Bytes(r.Bytes) + " into " + safe.Clean(r.Dest)
}

// trouble tells what is wrong, unless that was told a moment ago; it returns
// whether it told.
func (t *watchTeller) trouble(about, text string) bool {
	now := t.now()
	if told, lasts := t.troubles[about]; lasts && now.Sub(told) < tellAgain {
		return false
	}
	t.env.Streams.Warnf("%s %s: %s", t.clock(), about, safe.Clean(text))
	t.troubles[about] = now
	return true
}

// over tells that a trouble is.
func (t *watchTeller) over(about string) {
	if _, told := t.troubles[about]; told {
		delete(t.troubles, about)
		t.env.Streams.Notef("%s %s: works again", t.clock(), about)
	}
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
