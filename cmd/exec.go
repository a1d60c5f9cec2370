package cmd

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

type execOptions struct {
	sel      selectFlags
	names    []string
	command  []string
	jobs     int
	group    bool
	failFast bool
	stdin    bool
}

func newExecCommand(env *Env) *cobra.Command {
	var o execOptions
	c := &cobra.Command{
		Use:   "exec SELECTOR... [flags] -- CMD...",
		Short: "Run a command on many VMs at once",
		Long: `Runs the same command on every chosen VM, side by side. Lines come as they are
written, each with its VM's name; with one VM the output passes through
unchanged and the command's own status is the exit status. Flags go before --.
Several words after -- are one command with exactly these arguments; a single
word is a line for the shell there, with pipes and variables. (ssh joins words
with spaces, as OpenSSH does.)`,
		Example: `  vers-fleet exec --all -- uptime
  vers-fleet exec -l role=lieutenant --group -- df -h /root
  vers-fleet exec --all -- 'cd /root/workspace && git log -1 | head -n1'
  vers-fleet exec chad-dev chad-fix -o jsonl -- cat /etc/hostname`,
		DisableFlagsInUseLine: true, // they end at --
		RunE: func(c *cobra.Command, args []string) error {
			dash := c.ArgsLenAtDash()
			if dash < 0 || dash == len(args) {
				if len(args) > 1 && dash < 0 {
					return usageError("no command was given after --", "", "for example: vers-fleet exec "+safe.Word(args[0])+" -- "+safe.Line(strings.Join(args[1:], " ")))
				}
				return argsError(c, "no command was given after --")
			}
			o.names, o.command = args[:dash], args[dash:]
			return runExec(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	o.sel.register(env, c)
	f := c.Flags()
	f.IntVarP(&o.jobs, "jobs", "j", remote.ExecJobs, "work on `N` VMs side by side")
	f.BoolVar(&o.group, "group", false, "print each VM's output in one piece when it is done")
	f.BoolVar(&o.failFast, "fail-fast", false, "stop the rest at the first failure")
	f.BoolVarP(&o.stdin, "stdin", "i", false, "give stdin to every VM's command (read into memory first)")
	return about(c, groupEveryday, "connects directly with the recorded keys", exitOK, exitNotFound, exitPartial, exitSSH)
}

// maxExecStdin bounds what --stdin keeps in memory for all VMs.
const maxExecStdin = 64 << 20

func runExec(ctx context.Context, env *Env, o execOptions) error {
	if o.jobs < 1 {
		return usageError("--jobs must be at least 1", "", "see: vers-fleet exec --help")
	}
	sel, err := o.sel.selection(o.names)
	if err != nil {
		return err
	}
	input, err := o.input(env)
	if err != nil {
		return err
	}
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vms, err := f.Inventory.Resolve(ctx, sel)
	if err != nil && len(o.names) == 1 && !o.sel.given() {
		return ownFailure(err) // not to be taken for the command's own status
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out := newExecOutput(env, vms, o.group, stop)
	req := remote.ExecRequest{VMs: vms, Command: remote.CommandLine(o.command), Jobs: o.jobs, FailFast: o.failFast,
		Timeout: env.Timeout(), Stdin: input, Output: out.streams, Banner: out.banner, OnDone: out.done, OnWaiting: env.reportWaiting}
	results, err := f.Remote.Exec(ctx, req)
	outErr := out.finish(results)
	if err == nil || problem.KindOf(outErr) != problem.Partial { // a failure says more than that its output is cut
		err = cmp.Or(outErr, err)
	}
	if len(vms) == 1 && !errors.Is(err, ui.ErrOutputClosed) {
		return ownFailure(err)
	}
	return err
}

// input is stdin for every VM; without --stdin the commands read nothing.
func (o execOptions) input(env *Env) (func() io.Reader, error) {
	if !o.stdin {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(env.Streams.In, maxExecStdin+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxExecStdin {
		return nil, usageError("stdin is too large for --stdin", "more than "+ui.Bytes(maxExecStdin), "copy it there first: vers-fleet push")
	}
	return func() io.Reader { return strings.NewReader(string(data)) }, nil
}

// execLine is one event of -o jsonl, and one element of -o json.
type execLine struct {
	remote.ExecResult
	Stdout       string `json:"stdout"`
	Stderr       string `json:"stderr"`
	StdoutBase64 []byte `json:"stdout_base64,omitempty"` // what JSON's text cannot hold
	StderrBase64 []byte `json:"stderr_base64,omitempty"`
	Truncated    bool   `json:"truncated,omitempty"`
	StdoutBytes  int64  `json:"stdout_bytes,omitempty"`
	StderrBytes  int64  `json:"stderr_bytes,omitempty"`
}

func execListing() ui.Listing[execLine] {
	return ui.Listing[execLine]{
		Columns: []ui.Column[execLine]{
			{Header: "VM", Value: func(e execLine) string { return e.VMName }},
			{Header: "STATUS", Right: true, Value: func(e execLine) string { return itoa(e.Status) }},
			{Header: "TIME", Right: true, Value: func(e execLine) string {
				return time.Duration(e.Duration * float64(time.Second)).Round(time.Millisecond).String()
			}},
			{Header: "ERROR", Wraps: true, Sparse: true, Value: func(e execLine) string { return dash(e.Error) }},
		},
		Name: func(e execLine) string { return e.VMName },
	}
}
