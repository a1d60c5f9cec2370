package cmd

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

type waitOptions struct {
	events  []string
	vm      string
	command string
}

func newWaitCommand(env *Env) *cobra.Command {
	var o waitOptions
	c := &cobra.Command{
		Use:   "wait [VM]",
		Short: "Return when the API answers again, or something else has happened",
		Long: `Returns as soon as the API answers: exit 0, or 5 when --timeout is over first.
However many processes wait, one probes at a time, about every ten seconds.

With --for it waits for an event instead, of one VM or of any:
` + ui.Wrap(eventNames(), helpWidth) + `
What is so already counts: a lieutenant that is idle is done, an API that
answers is up. That a VM is new, gone or renamed, or a commit was sent, has yet
to come. Lieutenants are asked over SSH every few seconds; that needs no API.

--exec then runs a shell command, with the event as JSON on its stdin and no
API key in its environment, and ends with its status.`,
		Example: `  vers-fleet wait --timeout 15m && vers-fleet queue run
  vers-fleet wait --for lieutenant.done,lieutenant.failed marketing
  vers-fleet wait --for api.down --exec 'vers-fleet pull --all ./rescue'
  vers-fleet wait --for lieutenant.waiting --exec ./tell-me.sh`,
		Args: argCount(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			o.vm = strings.Join(args, "")
			return runWait(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 1)
	c.Flags().StringSliceVar(&o.events, "for", nil, "wait for this `EVENT`; several with commas: for the first of them")
	c.Flags().StringVar(&o.command, "exec", "", "then run this shell `CMD`")
	_ = c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(eventTypes(), cobra.ShellCompDirectiveNoFileComp))
	return about(c, groupOutage, "waits for it to return; lieutenants are watched over SSH", exitOK, exitNotFound, exitAuth, exitUnavailable, exitUnreachable)
}

// eventTypes are the names of all events.
func eventTypes() []string {
	var out []string
	for _, t := range daemon.Types() {
		out = append(out, string(t))
	}
	return out
}

// eventNames is eventTypes as a sentence.
func eventNames() string { return strings.Join(eventTypes(), ", ") + "." }

func runWait(ctx context.Context, env *Env, o waitOptions) error {
	types, err := o.types()
	if err != nil {
		return err
	}
	began := time.Now()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	event := daemon.Event{At: began.UTC(), Type: daemon.APIUp, Text: "the API answers"}
	if slices.Equal(types, []daemon.Type{daemon.APIUp}) {
		err = f.API.Await(ctx, env.Timeout())
		event.At = time.Now().UTC().Truncate(time.Second)
	} else {
		event, err = awaitEvent(ctx, env, f, types, o.vm)
	}
	if err != nil {
		return err
	}
	if o.command != "" {
		return execForEvent(ctx, env, o.command, event)
	}
	return showWaited(env, event, len(o.events) > 0, time.Since(began))
}

// types are the events that are waited for.
func (o waitOptions) types() ([]daemon.Type, error) {
	events, known, out := o.events, eventTypes(), []daemon.Type(nil)
	if len(events) == 0 {
		events = []string{string(daemon.APIUp)}
	}
	for _, name := range events {
		if name = strings.TrimSpace(name); !slices.Contains(known, name) {
			next := "there are: " + eventNames()
			if near := problem.Nearest(name, known, 1); len(near) > 0 {
				next = "did you mean: " + near[0]
			}
			return nil, usageError(fmt.Sprintf("there is no event %q", safe.Clean(name)), "", next)
		}
		out = append(out, daemon.Type(name))
	}
	if o.vm != "" && !slices.ContainsFunc(out, daemon.Type.OfVM) {
		return nil, usageError("an event of the API is of no VM", "got "+safe.Clean(o.vm), "leave it out, or wait for something else: --for lieutenant.done")
	}
	return out, nil
}

// awaitEvent waits for an event of a VM, or of any if vm is "".
func awaitEvent(ctx context.Context, env *Env, f *fleet.Fleet, types []daemon.Type, vm string) (daemon.Event, error) {
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	r := daemon.AwaitRequest{Types: types, OnOther: func(e daemon.Event) { env.Streams.Notef("%s", e.Text) }}
	if vm != "" {
		vms, err := f.Inventory.Resolve(ctx, inventory.Selection{Names: []string{vm}})
		if err != nil {
			return daemon.Event{}, err
		}
		r.VM = &vms[0]
	}
	return f.Events.Await(ctx, r)
}

// execForEvent runs the user's command because of an event, and ends as it does.
func execForEvent(ctx context.Context, env *Env, line string, event daemon.Event) error {
	env.foreign = true
	status, err := daemon.Command{Line: line, Env: settings.WithoutSecrets(os.Environ()), Stdout: env.Streams.Out, Stderr: env.Streams.Err}.Run(ctx, event)
	if err == nil && status != 0 {
		return commandStatus(status)
	}
	return err
}

func showWaited(env *Env, event daemon.Event, asked bool, waited time.Duration) error {
	if env.Format().Table() && !asked {
		env.Streams.Notef("%s", event.Text)
		return nil
	}
	v, name := waitValue{Waited: waited.Seconds(), Event: event}, string(event.Type)
	if event.Type == daemon.APIUp {
		v.State = "up"
	}
	if !asked {
		name = v.State
	}
	return ui.Value{JSON: v, Name: name, Text: func(t *ui.Text) { t.Styled(ui.Normal, "%s", event.Text) }}.Print(env.Streams, env.Format())
}

// waitValue is what was waited for, for scripts.
type waitValue struct {
	State  string  `json:"state,omitempty"`
	Waited float64 `json:"waited_seconds"`
	daemon.Event
}
