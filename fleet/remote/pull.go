package remote

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// PullItem is one VM's part of a pull.
type PullItem struct {
	VM    inventory.VM
	Paths []string // on the VM; none, and "" among them, means the configured pull paths
}

// Add adds a path, once; "" is the configured pull paths.
func (item *PullItem) Add(path string) {
	if !slices.Contains(item.Paths, path) {
		item.Paths = append(item.Paths, path)
	}
}

// named reports whether all that is pulled was named by its path.
func (item PullItem) named() bool {
	return len(item.Paths) > 0 && !slices.Contains(item.Paths, "")
}

// paths is what is fetched from the VM.
func (item PullItem) paths(configured []string) []string {
	if len(item.Paths) == 0 {
		return configured
	}
	out := PullItem{}
	for _, p := range item.Paths {
		if p != "" {
			out.Add(p)
			continue
		}
		for _, c := range configured {
			out.Add(c)
		}
	}
	return out.Paths
}

// PullRequest says what to fetch. Dest "" means the current folder for one VM
// with named paths, else a folder named after each VM.
type PullRequest struct {
	Items   []PullItem
	Dest    string
	PerVM   bool // a folder for each VM even if there is only one (--all, -l)
	Jobs    int  // VMs worked on side by side; 0 = PullJobs
	Options transfer.PullOptions
	OnEvent func(inventory.VM, transfer.Event) // called from several goroutines
	OnDone  func(PullResult)                   // called as each VM is done, one at a time

	// Await, if not nil, is called for each VM, for all at once, and its files
	// are fetched when it returns, unless with an error. What it returns is
	// how the lieutenant's task ended.
	Await func(context.Context, inventory.VM) (Activity, error)

	pool   *connPool   // of a Watch
	budget *connBudget // of this pull
}

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
	Deleted   int64            `json:"deleted"`
	Failed    int64            `json:"failed"`
	Verified  string           `json:"verified"` // "" in a dry run
	Duration  float64          `json:"duration_seconds"`
	Error     string           `json:"error,omitempty"`
	Failures  []PullFailure    `json:"failures"`
	Deletions []string         `json:"deletions"`          // what --delete removed, the first thousand
	Beware    []string         `json:"beware"`             // what arrived that other programs run or obey by themselves
	HostKey   string           `json:"host_key,omitempty"` // fingerprint
	KeySource string           `json:"key_source,omitempty"`
	Phase     lieutenant.Phase `json:"phase,omitempty"` // of the lieutenant when its task was over, if that was waited for
	PhaseText string           `json:"phase_text,omitempty"`
	Summary   transfer.Summary `json:"-"`
	Err       error            `json:"-"`
}

// PullFailure is one file that did not come.
type PullFailure struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// PullJobs is the same of a pull: it waits for the network more than it works,
// and a fleet of a dozen VMs should not come in waves.
const PullJobs = 16

// connBudget tells each pull at work how many connections it may have, so that all
// together have about as many as pay: sshd's limits are each VM's own, but the
// processors here are shared. Safe for concurrent use.
type connBudget struct{ working atomic.Int64 }

// now is the share of one pull: 8 connections (see transfer) if there are few
// pulls, never less than 2, because at a distance one is bound by its windows.
func (s *connBudget) now() int { return max(2, 32/int(max(1, s.working.Load()))) }

// Pull fetches files from VMs, each over its own connection and into its own
// folder. One VM that fails does not hold up the others. The error is nil when
// everything came; with one VM it is that VM's, with several its kind is
// Partial. A DEST in vers-fleet's own folders is refused with kind Usage.
func (rm *Remote) Pull(ctx context.Context, r PullRequest) ([]PullResult, error) {
	for _, item := range r.Items {
		if in, ok := transfer.Within(r.destOf(item), rm.o.Own); ok {
			return nil, &problem.Error{Kind: problem.Usage, What: "cannot pull into " + safe.Line(r.destOf(item)), Origin: problem.OriginLocal,
				Why: "it lies in " + in + ", which is vers-fleet's own configuration or state", Next: "choose another DEST"}
		}
	}
	results := make([]PullResult, len(r.Items))
	r.budget = &connBudget{}
	var mu sync.Mutex
	if r.Jobs <= 0 {
		r.Jobs = PullJobs
	}
	width := r.Jobs
	if r.Await != nil {
		width = len(r.Items)
	}
	slots := make(chan struct{}, r.Jobs)
	problem.Each(len(r.Items), width, func(n int) {
		item, end := r.Items[n], Activity{}
		if r.Await != nil {
			var err error
			if end, err = r.Await(ctx, item.VM); err != nil {
				results[n] = PullResult{VMID: item.VM.ID, VMName: item.VM.Name, Dest: r.destOf(item), Failures: []PullFailure{}}.failed(err)
				return
			}
		}
		slots <- struct{}{}
		r.budget.working.Add(1)
		res := rm.pullOne(ctx, r, item)
		r.budget.working.Add(-1)
		<-slots
		res.Phase, res.PhaseText = end.Phase, end.Text
		mu.Lock()
		defer mu.Unlock()
		results[n] = res
		if r.OnDone != nil {
			r.OnDone(res)
		}
	})
	return results, pullError(ctx, results, r.Options.MaxTotal)
}

// destOf is where the item's files land: the rule that PullRequest and vers-fleet
// pull --help state.
func (r PullRequest) destOf(item PullItem) string {
	folder := folderName(r.Items, item.VM)
	switch {
	case len(r.Items) > 1 || r.PerVM:
		return filepath.Join(cmp.Or(r.Dest, "."), folder)
	case r.Dest != "":
		return r.Dest
	case item.named():
		return "."
	}
	return folder
}

// folderName is the VM's name, with a part of its id where two VMs of the same
// pull share the name, or the id of a VM without one.
func folderName(items []PullItem, vm inventory.VM) string {
	for _, other := range items {
		if other.VM.ID != vm.ID && strings.EqualFold(other.VM.Title(), vm.Title()) {
			return vm.Title() + "-" + vm.ID
		}
	}
	return vm.Title()
}

// pullOne fetches one VM's files.
func (rm *Remote) pullOne(ctx context.Context, r PullRequest, item PullItem) (res PullResult) {
	began := rm.o.Now()
	res = PullResult{VMID: item.VM.ID, VMName: item.VM.Name, Dest: r.destOf(item), DryRun: r.Options.DryRun, Failures: []PullFailure{}, Deletions: []string{}, Beware: []string{}}
	defer func() { res.Duration = rm.o.Now().Sub(began).Seconds() }()
	if err := ctx.Err(); err != nil {
		return res.failed(transferError(ctx, item.VM, "pull from", err))
	}
	conn, done, err := rm.pullConn(ctx, r.pool, item.VM)
	if err != nil {
		return res.failed(err)
	}
	defer func() { done(res.Err) }()
	res.HostKey = conn.Info().Fingerprint
	if rec, err := rm.o.Store.Record(item.VM.ID); err == nil {
		res.KeySource = rec.Source
	}
	o := r.Options
	o.Dest, o.Source, o.Logf = res.Dest, item.VM.ID, rm.o.Logf
	o.Paths, o.ConnsNow = item.paths(rm.o.PullPaths), r.budget.now
	if r.OnEvent != nil {
		o.Events = func(e transfer.Event) { r.OnEvent(item.VM, e) }
	}
	o.Own, o.Home, o.Notable = rm.o.Own, rm.o.UserHome, notable
	sum, err := transfer.Pull(ctx, rm.remote(item.VM, conn), o)
	res.fill(sum)
	res.Beware = bewareOf(res.Dest, sum.Notable)
	return res.failed(transferError(ctx, item.VM, "pull from", err))
}

// pullConn returns a connection and what to do with it afterwards: close it,
// or leave it open for the next round of a watch unless the pull failed.
func (rm *Remote) pullConn(ctx context.Context, pool *connPool, vm inventory.VM) (*sshconn.Conn, func(error), error) {
	if pool == nil {
		conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
		return conn, func(error) { _ = conn.Close() }, err
	}
	conn, err := pool.get(ctx, rm, vm)
	return conn, func(err error) {
		if err != nil {
			pool.drop(vm)
		}
	}, err
}

// remote hands a connection to the transfer engine, with the means to make
// more of them.
func (rm *Remote) remote(vm inventory.VM, conn transfer.Conn) transfer.Remote {
	dial := func(ctx context.Context) (transfer.Conn, error) {
		c, err := rm.o.Access.Dial(ctx, vm, access.How{})
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	return transfer.Remote{Conn: conn, Dial: dial, Redial: dial}
}

func (r *PullResult) fill(s transfer.Summary) {
	r.Summary, r.Files, r.Bytes, r.Unchanged = s, s.Files, s.Bytes, s.Unchanged
	r.Skipped, r.Outward, r.Dotfiles, r.Failed, r.Verified = s.Skipped, s.Outward, s.Dotfiles, s.Failed, s.Verified
	r.Deleted, r.Deletions = s.Deleted, append(r.Deletions, s.Deletions...)
	if r.DryRun {
		r.Verified = "" // nothing was there to check
	}
	for _, e := range s.Failures {
		r.Failures = append(r.Failures, PullFailure{Path: e.Path, Reason: e.Reason})
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
		switch {
		case e.Kind == problem.Interrupted:
			e.Next = "run it again to go on where it stopped"
		case errors.Is(err, context.DeadlineExceeded):
			*e = *problem.OutOfTime(e.What, err)
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
				e.Kind = problem.Partial
			}
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

// Push sends files to one VM. Its result has the form of a pull's, with the
// folder on the VM as Dest.
func (rm *Remote) Push(ctx context.Context, vm inventory.VM, o transfer.PushOptions) (res PullResult, err error) {
	began := rm.o.Now()
	res = PullResult{VMID: vm.ID, VMName: vm.Name, Dest: o.Dest, DryRun: o.DryRun, Failures: []PullFailure{}, Deletions: []string{}, Beware: []string{}}
	defer func() { res.Duration = rm.o.Now().Sub(began).Seconds() }()
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return res.failed(err), err
	}
	defer conn.Close()
	res.HostKey, o.Source, o.Logf = conn.Info().Fingerprint, vm.ID, rm.o.Logf
	sum, err := transfer.Push(ctx, rm.remote(vm, conn), o)
	res.fill(sum)
	res = res.failed(transferError(ctx, vm, pushVerb, err))
	return res, pullError(ctx, []PullResult{res}, 0)
}
