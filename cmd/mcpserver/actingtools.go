package mcpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

func (s *Server) addActingTools() {
	add(s, spec{name: "vm_exec", title: "Run a command on a VM", class: acts, foreign: true, bulk: "stdout",
		about: "Run a shell line on a VM as root. A status other than 0 is no error of the tool. Cancelled or out of time, it is not awaited any longer; what had begun there may run on."}, execute)
	add(s, spec{name: "vm_send", title: "Tell a lieutenant", class: acts, foreign: true,
		about: "Give the agent on a VM a task (prompt), a hint while it works (steer), what to do next (follow_up), an answer to its question (answer), or stop it (abort)."}, send)
}

type execInput struct {
	VM      string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Command string `json:"command"`
	Stdin   string `json:"stdin,omitempty"`
	Seconds int    `json:"seconds,omitempty" jsonschema:"how long it may take; default 120, at most 3600"`
}

type execOutput struct {
	VMID     string  `json:"vm_id,omitempty"`
	Status   int     `json:"exit_status"`
	Stdout   string  `json:"stdout"`
	Stderr   string  `json:"stderr"`
	Lost     int64   `json:"lost_bytes,omitempty"`
	Duration float64 `json:"duration_seconds"`
}

// The bounds of a command: how long it may take, and what is kept of what it
// prints, of stderr the end.
const (
	usualExec  = 120
	longestRun = 3600
	maxStdout  = 4 << 20
	maxStderr  = 4 << 10
	notRun     = 255 // the status of a command that was not, as with ssh
)

func execute(ctx context.Context, c *call, in execInput) (execOutput, error) {
	if in.Command == "" {
		return execOutput{Status: notRun}, usage("there is no command", "", "give the shell line in command")
	}
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return execOutput{Status: notRun}, err
	}
	seconds := in.Seconds
	if seconds <= 0 {
		seconds = usualExec
	}
	stdout, stderr := &head{most: maxStdout}, &tail{most: maxStderr}
	req := remote.ExecRequest{VMs: []inventory.VM{vm}, Command: in.Command, Timeout: time.Duration(min(seconds, longestRun)) * time.Second,
		Output: func(inventory.VM) (io.Writer, io.Writer) {
			return notingWriter{stdout, func() { c.progress(ctx, "%d bytes of output", stdout.size) }}, stderr
		}}
	if in.Stdin != "" {
		req.Stdin = func() io.Reader { return bytes.NewBufferString(in.Stdin) }
	}
	results, err := c.Remote.Exec(ctx, req)
	out := execOutput{VMID: vm.ID, Status: notRun, Stdout: stdout.String(), Stderr: stderr.text(), Lost: stdout.size - int64(stdout.Len())}
	if len(results) == 1 {
		out.Status, out.Duration = results[0].Status, results[0].Duration
	}
	var own *problem.Error
	var status *remote.RemoteStatus
	if !errors.As(err, &own) && errors.As(err, &status) {
		return out, nil // the command's own
	}
	return out, err
}

// head keeps the beginning of what is written to it, and counts all.
type head struct {
	bytes.Buffer
	most int
	size int64
}

func (h *head) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	_, _ = h.Buffer.Write(p[:min(len(p), h.most-h.Len())]) // a Buffer does not fail
	return len(p), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	end  []byte
	most int
	cut  bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.end = append(t.end, p...)
	if over := len(t.end) - 2*t.most; over > 0 {
		t.end, t.cut = slices.Clone(t.end[len(t.end)-t.most:]), true
	}
	return len(p), nil
}

func (t *tail) text() string {
	if over := len(t.end) - t.most; over > 0 {
		t.end, t.cut = t.end[over:], true
	}
	if t.cut {
		return "..." + string(t.end)
	}
	return string(t.end)
}

// notingWriter tells of each write.
type notingWriter struct {
	w    io.Writer
	note func()
}

func (n notingWriter) Write(p []byte) (int, error) {
	defer n.note()
	return n.w.Write(p)
}

type sendInput struct {
	VM      string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Message string `json:"message,omitempty"`
	Kind    string `json:"kind,omitempty" jsonschema:"prompt (default), steer, follow_up, answer or abort"`
	Answer  string `json:"answer,omitempty" jsonschema:"with kind answer: the id of the question"`
}

type sendOutput struct {
	VMID   string    `json:"vm_id,omitempty"`
	Kind   string    `json:"kind,omitempty"`
	SentAt time.Time `json:"sent_at,omitzero"`
}

func send(ctx context.Context, c *call, in sendInput) (sendOutput, error) {
	kind := in.Kind
	if kind == "" {
		kind = "prompt"
	}
	kinds := map[string]remote.Message{"prompt": {Type: remote.Prompt}, "steer": {Type: remote.Steer}, "follow_up": {Type: remote.FollowUp}, "abort": {Type: remote.Abort}}
	m, known := kinds[kind]
	switch {
	case !known && kind != "answer":
		return sendOutput{}, usage(fmt.Sprintf("kind cannot be %q", kind), "", "use prompt, steer, follow_up, answer or abort")
	case (kind == "answer") != (in.Answer != ""):
		return sendOutput{}, usage("answer goes with kind answer", "it is the id of the question", "vm_status shows it")
	case (kind == "abort") != (in.Message == ""):
		return sendOutput{}, usage("there is no message, or one too many", "abort takes none, all else one", "")
	}
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return sendOutput{}, err
	}
	if m.Text = in.Message; kind == "answer" {
		err = c.Output.Reply(ctx, vm, in.Answer, in.Message)
	} else {
		err = c.Output.Send(ctx, vm, m)
	}
	if err != nil {
		return sendOutput{}, err
	}
	return sendOutput{vm.ID, kind, time.Now().UTC()}, nil
}

func (s *Server) addCommitTools() {
	add(s, spec{name: "vm_commit", title: "Snapshot a VM", class: acts, gentle: true,
		about: "Take a snapshot (commit) of a VM, exactly once. While the API is down it is queued (status queued; one waits per VM) and taken later by queue_run."}, commit)
	add(s, spec{name: "queue_run", title: "Send waiting commits", class: acts, gentle: true, again: true, bulk: "commits",
		about: "Send the commits that wait, and settle those whose answer was lost."}, queueRun)
}

type commitInput struct {
	VM          string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}

type commitOutput struct {
	VMID     string `json:"vm_id,omitempty"`
	CommitID string `json:"commit_id,omitempty"`
	Status   string `json:"status"`
	Why      string `json:"why,omitempty"`
}

func commit(ctx context.Context, c *call, in commitInput) (commitOutput, error) {
	if err := named(in.VM); err != nil {
		return commitOutput{}, err
	}
	vms, err := c.Inventory.ResolveLive(ctx, outage.AsAsked, "commit", inventory.Selection{Names: []string{in.VM}}) // a name may have moved
	if err != nil {
		return commitOutput{}, err
	}
	r, err := c.Commits.Commit(ctx, vms[0], commits.Request{Name: in.Name, Description: in.Description, Queue: true})
	out := commitOutput{r.VMID, r.CommitID, r.Status, r.Error}
	if problem.KindOf(err) == problem.Queued {
		return out, nil // that it waits is the answer
	}
	return out, err
}

type queueRunOutput struct {
	Commits []commits.Result `json:"commits"`
}

func queueRun(ctx context.Context, c *call, _ nothing) (queueRunOutput, error) {
	results, err := c.Commits.RunQueue(ctx)
	return queueRunOutput{results}, err
}

func (s *Server) addChangingTools() {
	add(s, spec{name: "vm_pause", title: "Pause a VM", class: changes, again: true,
		about: "Pause a VM, keeping its memory; it accepts no SSH then. Needs the API."}, power((*lifecycle.Lifecycle).Pause))
	add(s, spec{name: "vm_resume", title: "Resume a VM", class: changes, again: true, gentle: true,
		about: "Let a paused VM run on. Needs the API."}, power((*lifecycle.Lifecycle).Resume))
	add(s, spec{name: "vm_branch", title: "Copy a VM", class: changes, gentle: true,
		about: "Make new VMs that start as copies of one; each costs. Needs the API; never repeated by itself."}, branch)
}

type powerInput struct {
	VM string `json:"vm" jsonschema:"name, id or prefix of an id"`
}

func power(do func(*lifecycle.Lifecycle, context.Context, inventory.Selection) ([]lifecycle.StateChange, error)) func(context.Context, *call, powerInput) (lifecycle.StateChange, error) {
	return func(ctx context.Context, c *call, in powerInput) (lifecycle.StateChange, error) {
		if err := named(in.VM); err != nil {
			return lifecycle.StateChange{}, err
		}
		list, err := do(c.Lifecycle, ctx, inventory.Selection{Names: []string{in.VM}})
		if len(list) == 0 {
			return lifecycle.StateChange{}, err
		}
		change := list[0]
		change.Error = "" // err says it
		return change, err
	}
}

type branchInput struct {
	VM    string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Count int    `json:"count,omitempty" jsonschema:"how many; default 1, at most 100"`
	Name  string `json:"name,omitempty" jsonschema:"several are NAME-1 and so on"`
}

type branchOutput struct {
	Parent string   `json:"parent_vm_id,omitempty"`
	VMs    []string `json:"vm_ids"`
}

func branch(ctx context.Context, c *call, in branchInput) (branchOutput, error) {
	if in.VM == "" || in.Count < 0 || in.Count > 100 {
		return branchOutput{}, usage("a VM and a count from 1 to 100 are needed", "", "")
	}
	vm, made, err := c.Lifecycle.Branch(ctx, in.VM, lifecycle.BranchRequest{Count: max(1, in.Count), Name: in.Name})
	out := branchOutput{Parent: vm.ID, VMs: []string{}}
	for _, m := range made {
		out.VMs = append(out.VMs, m.VMID)
	}
	return out, err
}
