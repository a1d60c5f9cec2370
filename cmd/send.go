package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

type sendOptions struct {
	vm       string
	text     string
	steer    bool
	followUp bool
}

func newSendCommand(env *Env) *cobra.Command {
	var o sendOptions
	c := &cobra.Command{
		Use:   "send VM MESSAGE",
		Short: "Give a lieutenant something to do",
		Long: `Writes one message to the lieutenant over SSH: a new task, a hint while it
works (--steer) or what to do afterwards (--follow-up). With - the message is
read from stdin. When nobody listens it is refused, never left hanging.`,
		Example: `  vers-fleet send marketing "Render the banner in 4:3 as well"
  vers-fleet send marketing --steer "Use the darker palette"
  vers-fleet send chad-dev - < task.md`,
		Args: oneMessage,
		RunE: func(c *cobra.Command, args []string) error {
			o.vm, o.text = args[0], args[1]
			return runSend(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 1)
	c.Flags().BoolVar(&o.steer, "steer", false, "a hint for what it is doing now")
	c.Flags().BoolVar(&o.followUp, "follow-up", false, "what to do when it is done")
	c.MarkFlagsMutuallyExclusive("steer", "follow-up")
	return about(c, groupEveryday, "connects directly with the recorded key", exitOK, exitNotFound, exitUnavailable, exitUnreachable)
}

// oneMessage refuses a message that lost its quotes.
func oneMessage(c *cobra.Command, args []string) error {
	if len(args) > 2 {
		return usageError("send takes one message", fmt.Sprintf("it came as %d words", len(args)-1), "put it in quotes, or use - and stdin")
	}
	return argCount(2, 2)(c, args)
}

// maxSendStdin is more than any message may have; the rest need not be read.
const maxSendStdin = 2 << 20

func runSend(ctx context.Context, env *Env, o sendOptions) error {
	m := remote.Message{Type: remote.Prompt, Text: o.text}
	switch {
	case o.steer:
		m.Type = remote.Steer
	case o.followUp:
		m.Type = remote.FollowUp
	}
	if o.text == "-" {
		data, err := io.ReadAll(io.LimitReader(env.Streams.In, maxSendStdin))
		if err != nil {
			return err
		}
		m.Text = strings.TrimSpace(string(data))
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, err := f.Inventory.One(ctx, o.vm)
	if err != nil {
		return err
	}
	if err := f.Output.Send(ctx, vm, m); err != nil {
		return err
	}
	env.Streams.Notef("%s has it; see what it says: vers-fleet output %s --follow", vm.Title(), vm.Title())
	return nil
}
