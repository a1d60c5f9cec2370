package cmd

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// doPull pulls with a progress display, or with events for -o jsonl.
func doPull(ctx context.Context, env *Env, f *fleet.Fleet, req remote.PullRequest, whenDone bool) ([]remote.PullResult, error) {
	progress := env.Streams.NewProgress()
	defer progress.Stop()
	req.OnEvent = func(vm inventory.VM, e remote.TransferEvent) {
		progress.Update(progressOf(vm, e))
		if e.Kind == remote.EventRetry {
			env.Streams.Warnf("%s: %s", vm.Title(), e.Reason)
		}
		if env.Format().Lines() && e.Kind != remote.EventProgress {
			line := eventLine(vm, e)
			line.DryRun = req.Options.DryRun
			_ = ui.PrintLine(env.Streams, line)
		}
	}
	req.OnDone = func(r remote.PullResult) {
		end := ui.Finished
		if r.Err != nil {
			end = ui.Failed
		}
		progress.Update(ui.Update{Key: orID(r.VMName, r.VMID), Done: r.Bytes, Total: r.Bytes, Text: r.Error, End: end})
		warnOfSelfRunning(env, r)
		if env.Format().Lines() {
			_ = ui.PrintLine(env.Streams, pullDone{Event: "result", PullResult: r})
		}
	}
	if whenDone {
		req.Await = func(ctx context.Context, vm inventory.VM) (remote.Activity, error) {
			return awaitTask(ctx, env, f, vm, len(req.Items) > 1, func(text string) { progress.Update(ui.Update{Key: vm.Title(), Text: text}) })
		}
	}
	req.OnWaiting = env.reportWaiting
	results, err := f.Remote.Pull(ctx, req)
	f.NoteHome(ctx, req, results)
	return results, err
}

// reportWaiting tells which VMs hold up the end of what all others have done.
func (e *Env) reportWaiting(vms []inventory.VM) {
	names := make([]string, 0, maxShown)
	for _, vm := range firstOf(vms) {
		names = append(names, vm.Title())
	}
	text := strings.Join(names, ", ")
	if more := len(vms) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	e.Streams.Notef("still waiting for %s, from which nothing has come for half a minute; the others are done", text)
}

func progressOf(vm inventory.VM, e remote.TransferEvent) ui.Update {
	return ui.Update{Key: vm.Title(), Done: e.Bytes, Total: e.TotalBytes, Text: e.Path}
}

func eventLine(vm inventory.VM, e remote.TransferEvent) pullEvent {
	return pullEvent{Event: string(e.Kind), VMID: vm.ID, Name: vm.Name, Path: e.Path, PathBase64: safe.Bytes(e.Path), Reason: e.Reason, Bytes: e.Bytes, Files: e.Files}
}

// pullEvent is one line of -o jsonl while files arrive.
type pullEvent struct {
	Event      string `json:"event"`
	VMID       string `json:"vm_id"`
	Name       string `json:"name,omitempty"`
	Path       string `json:"path,omitempty"`
	PathBase64 []byte `json:"path_base64,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Bytes      int64  `json:"bytes"`
	Files      int64  `json:"files"`
	DryRun     bool   `json:"dry_run,omitempty"`
}

// pullDone is the last line of a VM.
type pullDone struct {
	Event string `json:"event"`
	remote.PullResult
}

// transferVerb is what a transfer does, or in a dry run would do.
type transferVerb struct {
	do, done string
	dry      bool
}

func fetching(dry bool) transferVerb { return transferVerb{"fetch", "fetched", dry} }
func sending(dry bool) transferVerb  { return transferVerb{"send", "sent", dry} }
func deleting(dry bool) transferVerb { return transferVerb{"delete", "deleted", dry} }

// header is the verb at the head of a column: FETCHED, WOULD FETCH.
func (v transferVerb) header() string {
	if v.dry {
		return strings.ToUpper("would " + v.do)
	}
	return strings.ToUpper(v.done)
}

// past is the verb behind a number of files.
func (v transferVerb) past() string {
	if v.dry {
		return "would be " + v.done
	}
	return v.done
}

func transferListing(verb transferVerb) ui.Listing[remote.PullResult] {
	count := func(get func(remote.PullResult) int64) func(remote.PullResult) string {
		return func(r remote.PullResult) string { return strconv.FormatInt(get(r), 10) }
	}
	return ui.Listing[remote.PullResult]{
		Columns: []ui.Column[remote.PullResult]{
			{Header: "VM", Value: func(r remote.PullResult) string { return orID(r.VMName, r.VMID) }},
			{Header: verb.header(), Right: true, Value: count(func(r remote.PullResult) int64 { return r.Files })},
			{Header: "SIZE", Right: true, Value: func(r remote.PullResult) string { return ui.Bytes(r.Bytes) }},
			{Header: "UNCHANGED", Right: true, Sparse: true, Minor: true, Value: count(func(r remote.PullResult) int64 { return r.Unchanged })},
			{Header: "SKIPPED", Right: true, Sparse: true, Minor: true, Value: count(func(r remote.PullResult) int64 { return r.Skipped })},
			{Header: deleting(verb.dry).header(), Right: true, Sparse: true, Value: count(func(r remote.PullResult) int64 { return r.Deleted })},
			{Header: "FAILED", Right: true, Sparse: true, Value: count(func(r remote.PullResult) int64 { return r.Failed }), Style: func(r remote.PullResult) ui.Style {
				if r.Failed > 0 || r.Err != nil {
					return ui.Bad
				}
				return ui.Normal
			}},
			{Header: "VERIFIED", Sparse: verb.dry, Value: func(r remote.PullResult) string { return dash(r.Verified) }},
			{Header: "TIME", Right: true, Wide: true, Value: func(r remote.PullResult) string {
				return (time.Duration(r.Duration*1000) * time.Millisecond).String()
			}},
			{Header: "INTO", Value: func(r remote.PullResult) string { return r.Dest }},
		},
		Name: func(r remote.PullResult) string { return r.Dest },
	}
}

// showTransfer prints what became of a transfer: the answer, and what it lacks. Where
// nothing at all was done there is only the error to tell people, and no zeros.
// told: the answer has been printed VM by VM.
func showTransfer(env *Env, results []remote.PullResult, verb transferVerb, told bool) error {
	nothing := !slices.ContainsFunc(results, func(r remote.PullResult) bool { return r.Err == nil || r.Files+r.Unchanged+r.Deleted > 0 })
	if !told && !(nothing && env.Format().Table()) {
		if err := transferListing(verb).Print(env.Streams, env.Format(), results); err != nil {
			return err
		}
	}
	reportTransfer(env, results, verb, nothing)
	return nil
}

// maxShown bounds the failures and deletions told on stderr; all of them are in the JSON.
const maxShown = 10

// reportTransfer tells failures, deletions and a total on stderr.
func reportTransfer(env *Env, results []remote.PullResult, verb transferVerb, nothing bool) {
	var files, bytes, same, deleted, failed int64
	for _, r := range results {
		files, bytes, same, deleted, failed = files+r.Files, bytes+r.Bytes, same+r.Unchanged, deleted+r.Deleted, failed+r.Failed
		reportOne(env, r, len(results) > 1, verb)
	}
	if nothing || len(results) == 1 && env.Format().Table() && env.Streams.OutTerminal() {
		return // the error, or the one row of the table, has said it
	}
	gone := ""
	if deleted > 0 {
		gone = fmt.Sprintf(", %d %s", deleted, deleting(verb.dry).past())
	}
	env.Streams.Notef("%s %s (%s), %d unchanged%s, %d failed, %s", ui.Count(files, "file"), verb.past(), ui.Bytes(bytes), same, gone, failed, ui.Count(len(results), "VM"))
}

// reportOne tells what became of one VM's transfer beyond its row.
func reportOne(env *Env, r remote.PullResult, several bool, verb transferVerb) {
	name := orID(r.VMName, r.VMID)
	if r.Err != nil && several && !problem.OfAll(r.Err) {
		env.Streams.Warnf("%s: %s", name, r.Error)
	}
	for _, e := range firstOf(r.Failures) {
		if text := failureText(e); text != r.Error { // else the VM's own error says it
			env.Streams.Warnf("%s: %s", name, text)
		}
	}
	if r.Failed > maxShown {
		env.Streams.Warnf("%s: and %d more", name, r.Failed-maxShown)
	}
	for _, path := range firstOf(r.Deletions) {
		env.Streams.Notef("%s: %s %s", name, shownPath(path), deleting(verb.dry).past())
	}
	if r.Deleted > maxShown {
		env.Streams.Notef("%s: and %d more %s", name, r.Deleted-maxShown, deleting(verb.dry).past())
	}
	if r.Outward > 0 {
		env.Streams.Notef("%s: left out %s leading out of the folder; --all-links keeps such links", name, ui.Count(r.Outward, "symlink"))
	}
	if r.Dotfiles > 0 {
		env.Streams.Notef("%s: left out %s, as DEST is your home folder; --dotfiles brings them too", name, ui.Count(r.Dotfiles, "dotfile"))
	}
	if r.Copied > 0 {
		env.Streams.Notef("%s: %s came as files of their own: the file system here allows no more names of one file", name, ui.Count(r.Copied, "hard link"))
	}
	if strings.HasPrefix(r.Verified, "none") && r.Err == nil && r.Files > 0 {
		env.Streams.Warnf("%s: the files were not checked by hash (%s)", name, strings.TrimPrefix(r.Verified, "none: "))
	}
}

// warnOfSelfRunning names what arrived and other programs run or obey by
// themselves: files of a VM are the word of whoever is on it.
func warnOfSelfRunning(env *Env, r remote.PullResult) {
	if len(r.Beware) == 0 {
		return
	}
	names := make([]string, 0, maxShown)
	for _, path := range firstOf(r.Beware) {
		names = append(names, shownPath(path))
	}
	text := strings.Join(names, ", ")
	if more := len(r.Beware) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	env.Streams.Warnf("%s: look before you work in %s: shells, editors and git run or obey by themselves: %s", orID(r.VMName, r.VMID), r.Dest, text)
}

// firstOf is as much of a list as is told on stderr.
func firstOf[T any](list []T) []T { return list[:min(len(list), maxShown)] }

// parseSize reads 1024, 500K, 1.5G, 100MiB; "" is 0. Units are powers of 1024.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "B"), "I")
	shift := 0
	if i := strings.IndexAny(number, "KMGTP"); i >= 0 && i == len(number)-1 {
		shift = 10 * (1 + strings.IndexByte("KMGTP", number[i]))
		number = number[:i]
	}
	v, err := strconv.ParseFloat(number, 64)
	bytes := v * math.Pow(2, float64(shift))
	if err != nil || v < 0 || math.IsNaN(v) || bytes >= math.MaxInt64 {
		return 0, fmt.Errorf("%q", safe.Clean(s))
	}
	return int64(bytes), nil
}
