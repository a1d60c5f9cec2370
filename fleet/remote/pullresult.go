package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// PullResult is what one VM's pull did.
type PullResult struct {
	VMID      string           `json:"vm_id"`
	VMName    string           `json:"name,omitempty"`
	Dest      string           `json:"dest"`
	DryRun    bool             `json:"dry_run"` // nothing was moved: the counts are what would be
	Files     int64            `json:"files"`
	Bytes     int64            `json:"bytes"`
	Unchanged int64            `json:"unchanged"`
	Skipped   int64            `json:"skipped"`
	Outward   int64            `json:"outward_links"` // of skipped: symlinks that lead out of DEST
	Dotfiles  int64            `json:"dotfiles"`      // of skipped: dotfiles, because DEST is the home folder
	Copied    int64            `json:"copied_links"`  // of files: hard links that the file system here did not allow
	Deleted   int64            `json:"deleted"`
	Failed    int64            `json:"failed"`
	Verified  string           `json:"verified"` // "" in a dry run
	Duration  float64          `json:"duration_seconds"`
	Error     string           `json:"error,omitempty"`
	Failures  []PullFailure    `json:"failures"`
	Deletions []string         `json:"deletions"`          // what --delete removed, the first thousand
	Beware    []string         `json:"beware"`             // what arrived that other programs run or obey by themselves
	HostKey   string           `json:"host_key,omitempty"` // fingerprint
	Key       LoginKey         `json:"key"`
	Phase     lieutenant.Phase `json:"phase,omitempty"` // of the lieutenant when its task was over, if that was waited for
	PhaseText string           `json:"phase_text,omitempty"`
	Summary   transfer.Summary `json:"-"`
	Err       error            `json:"-"`
}

// LoginKey is the SSH key that a transfer logged in with.
type LoginKey struct {
	Source string `json:"source,omitempty"` // where it came from
}

// PullFailure is one file that did not come.
type PullFailure struct {
	Path       string `json:"path"`
	PathBase64 []byte `json:"path_base64,omitempty"` // where Path is not UTF-8
	Reason     string `json:"reason"`
}

// newPullResult is the result of a transfer that has not begun.
func newPullResult(vm inventory.VM, dest string, dryRun bool) PullResult {
	return PullResult{VMID: vm.ID, VMName: vm.Name, Dest: dest, DryRun: dryRun, Failures: []PullFailure{}, Deletions: []string{}, Beware: []string{}}
}

func (r *PullResult) fill(s transfer.Summary) {
	r.Summary, r.Files, r.Bytes, r.Unchanged = s, s.Files, s.Bytes, s.Unchanged
	r.Skipped, r.Outward, r.Dotfiles, r.Failed, r.Verified = s.Skipped, s.Outward, s.Dotfiles, s.Failed, s.Verified
	r.Copied, r.Deleted, r.Deletions = s.Copied, s.Deleted, append(r.Deletions, s.Deletions...)
	if r.DryRun || s.Files+s.Unchanged == 0 {
		r.Verified = "" // nothing was there to check
	}
	for _, e := range s.Failures {
		r.Failures = append(r.Failures, PullFailure{Path: e.Path, PathBase64: safe.Bytes(e.Path), Reason: e.Reason})
	}
}

func (r PullResult) failed(err error) PullResult {
	if err != nil {
		r.Err, r.Error = err, problem.Why(err)
	}
	return r
}

const pushVerb = "push to"

// transferError gives a failed transfer its kind. Nil stays nil.
func transferError(ctx context.Context, vm inventory.VM, verb string, err error) error {
	if err == nil {
		return nil
	}
	e := problem.Error{Kind: problem.Unexpected, What: "cannot " + verb + " " + vm.Title(), Why: safe.Line(err.Error()), Origin: problem.OriginSSH}
	return problem.Of(ctx, err, e, func(e *problem.Error) {
		var local *transfer.LocalError
		var lost *transfer.LostError
		var tool *transfer.ToolError
		var deletion *transfer.DeletionError
		switch {
		case e.Kind == problem.Interrupted:
			e.Next = "run it again to go on where it stopped"
		case errors.As(err, &deletion):
			e.Kind, e.Origin, e.Next = problem.Usage, problem.OriginLocal, "name a folder here and one of its own on the VM, or leave out --delete"
		case errors.As(err, &local) && verb == pushVerb && errors.Is(err, fs.ErrNotExist):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginLocal, "name files and folders that are here"
		case errors.As(err, &local) && verb == pushVerb:
			e.Kind, e.Origin, e.Next = problem.Storage, problem.OriginLocal, "make it readable here, then run it again"
		case errors.As(err, &local):
			e.Kind, e.Origin = problem.Storage, problem.OriginLocal
			e.Next = "make room or choose another DEST, then run it again: it goes on where it stopped"
		case errors.As(err, &lost):
			e.Kind, e.Retryable, e.Next = problem.Unreachable, true, "run it again to go on where it stopped"
		case errors.As(err, &tool):
			e.Kind, e.Origin = problem.Unreachable, problem.OriginRemote
			if verb == pushVerb {
				e.Kind, e.Next = problem.Partial, whereElse(err)
			}
		case transfer.IsLimit(err):
			e.Kind, e.Origin, e.Next = problem.Partial, problem.OriginRemote, "take less at a time: folder by folder"
		case errors.Is(err, fs.ErrNotExist):
			e.Kind, e.Origin = problem.NotFound, problem.OriginRemote
			e.Next = "look at what is there: vers-fleet ssh " + vm.Arg() + " -- ls"
		}
	})
}

// pullError sums up: the VM's own error for one VM, Partial for several or
// when single files failed.
func pullError(ctx context.Context, results []PullResult, maxTotal int64) error {
	files, all := int64(0), make([]problem.Outcome, len(results))
	for i, r := range results {
		files += r.Failed
		all[i] = problem.Outcome{Name: cmp.Or(r.VMName, r.VMID), Err: r.Err}
	}
	if len(results) == 1 && results[0].Err != nil {
		return results[0].Err
	}
	err := problem.Sum{Failed: "failed", Next: "run it again: what is here is not fetched twice", Origin: problem.OriginSSH, Retryable: true}.Of(ctx, all)
	if err == nil && files > 0 {
		return filesError(files, results, maxTotal)
	}
	if err == nil {
		return unfinishedError(ctx, results)
	}
	return err
}

// unfinishedError says that files came of work that was not finished.
func unfinishedError(ctx context.Context, results []PullResult) error {
	outcomes := make([]problem.Outcome, len(results))
	for i, r := range results {
		name := cmp.Or(r.VMName, r.VMID)
		outcomes[i].Name = name
		if (Activity{Phase: r.Phase}).Unfinished() {
			outcomes[i].Err = &problem.Error{Kind: problem.Partial, What: "the task of " + name + " was not finished", Origin: problem.OriginRemote,
				Why:  strings.TrimSuffix("the lieutenant "+string(r.Phase)+": "+r.PhaseText, ": "),
				Next: "what it had made is here; see what it said: vers-fleet output " + safe.Word(name)}
		}
	}
	return problem.Sum{Failed: "did not finish their task", Next: "what they had made is here; --status of vers-fleet output says more", Origin: problem.OriginRemote}.Of(ctx, outcomes)
}

// filesError says that single files did not come, and what helps depends on
// why: this machine's disk is a matter of its own.
func filesError(files int64, results []PullResult, maxTotal int64) *problem.Error {
	e := &problem.Error{Kind: problem.Partial, What: problem.Counted(files, "file") + " did not come", Origin: problem.OriginRemote,
		Next: "run it again: what is here is not fetched twice", Retryable: true}
	kinds := map[transfer.FailKind]int{}
	n := 0
	for _, r := range results {
		for _, x := range r.Summary.Failures {
			if n++; n == 1 {
				e.Why = safe.Line(x.Path) + ": " + x.Reason
			}
			kinds[x.Kind]++
		}
	}
	switch {
	case n > 0 && kinds[transfer.FailLocal] == n:
		e.Kind, e.Origin, e.Next = problem.Storage, problem.OriginLocal, "make room or choose another DEST, then run it again: it goes on where it stopped"
	case n > 0 && kinds[transfer.FailLimit] == n && maxTotal == 0:
		e.Kind, e.Origin, e.Next = problem.Storage, problem.OriginLocal, "make room, choose another DEST or let --keep-free be less"
	case n > 0 && kinds[transfer.FailLimit] == n:
		e.Retryable, e.Next = false, "allow more with --max-total"
	case n > 0 && kinds[transfer.FailRefused] == n:
		e.Retryable, e.Next = false, "leave them out with --exclude; symlinks that lead out of DEST come with --all-links"
	}
	return e
}

// withPlaced adds to what the VM says of a push that ended early what came of it.
func withPlaced(err error, r PullResult) error {
	var tool *transfer.ToolError
	switch {
	case !errors.As(err, &tool) || r.DryRun:
		return err
	case r.Files+r.Summary.Links == 0:
		return fmt.Errorf("%w; nothing was put in place there", err)
	}
	return fmt.Errorf("%w; put in place before that: %s", err, problem.Counted(r.Files, "file"))
}

// whereElse is what helps where a VM cannot write, "" if that is not known.
func whereElse(err error) string {
	switch {
	case errors.Is(err, transfer.ErrVMFull):
		return "make room on the VM, then run it again: what is in place is not sent twice"
	case errors.Is(err, transfer.ErrVMReadOnly), errors.Is(err, transfer.ErrVMDenied):
		return "name a folder of the VM that its login may write to, or see what is wrong with this one"
	}
	return ""
}

// pushFilesError says that single files are not on the VM, and what helps: if it is
// the same with all of them, that.
func pushFilesError(r PullResult) error {
	e := &problem.Error{Kind: problem.Partial, What: problem.Counted(r.Failed, "file") + " did not arrive", Origin: problem.OriginRemote,
		Next: "run it again: what is in place is not sent twice", Retryable: true}
	local, next := true, ""
	for i, x := range r.Summary.Failures {
		here := whereElse(x.Err)
		if i == 0 {
			e.Why, next = safe.Line(x.Path)+": "+x.Reason, here
		}
		if here != next {
			next = ""
		}
		local = local && x.Kind == transfer.FailLocal
	}
	switch {
	case local && e.Why != "":
		e.Kind, e.Origin, e.Next = problem.Storage, problem.OriginLocal, "make them readable here, then run it again"
	case next != "":
		e.Next = next
	}
	return e
}

// Receipt is what --receipt writes: what is here, by hash, and where it came
// from.
type Receipt struct {
	Version int         `json:"version"`
	At      time.Time   `json:"at"`
	VMs     []ReceiptVM `json:"vms"`
}

// ReceiptVM is one VM's part of a Receipt.
type ReceiptVM struct {
	PullResult
	Files []transfer.Entry `json:"entries"`
}

// WriteReceipt writes a receipt of a pull, durably.
func (rm *Remote) WriteReceipt(path string, results []PullResult) error {
	r := Receipt{Version: 1, At: rm.o.Now().UTC(), VMs: []ReceiptVM{}}
	for _, res := range results {
		entries := res.Summary.Manifest
		if entries == nil {
			entries = []transfer.Entry{}
		}
		r.VMs = append(r.VMs, ReceiptVM{PullResult: res, Files: entries})
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = keystore.WriteFile(path, append(data, '\n'), 0o644)
	}
	return problem.OfStorage("write the receipt", err)
}

// WriteFile writes a private file where the user asked for it, durably.
func (rm *Remote) WriteFile(path string, data []byte) error {
	return problem.OfStorage("write "+path, keystore.WriteFile(path, data, 0o600))
}
