package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

type sendOptions struct {
	vm       string
	text     string
	steer    bool
	followUp bool
	abort    bool
	answer   string
}

func newSendCommand(env *Env) *cobra.Command {
	var o sendOptions
	c := &cobra.Command{
		Use:   "send VM MESSAGE",
		Short: "Give a lieutenant something to do",
		Long: `Writes one message to the lieutenant over SSH: a new task, a hint while it
works (--steer), what to do afterwards (--follow-up), or the answer to what it
asks (--answer): one of the options, yes or no, or a text, as the question
wants. --abort stops what it is doing, and takes no message. With - the message
is read from stdin. When nobody listens it is refused, never left hanging.
vers-fleet output VM --status shows the question and its id.`,
		Example: `  vers-fleet send marketing "Render the banner in 4:3 as well"
  vers-fleet send marketing --steer "Use the darker palette"
  vers-fleet send chad-dev - < task.md
  vers-fleet send marketing --abort`,
		Args: func(c *cobra.Command, args []string) error {
			if o.abort {
				return argCount(1, 1)(c, args)
			}
			return oneMessage(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if o.vm = args[0]; !o.abort {
				o.text = args[1]
			}
			return runSend(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 1)
	c.Flags().BoolVar(&o.steer, "steer", false, "a hint for what it is doing now")
	c.Flags().BoolVar(&o.followUp, "follow-up", false, "what to do when it is done")
	c.Flags().BoolVar(&o.abort, "abort", false, "stop what it is doing")
	c.Flags().StringVar(&o.answer, "answer", "", "the answer to the question with this `ID`")
	c.MarkFlagsMutuallyExclusive("steer", "follow-up", "abort", "answer")
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
	case o.abort:
		m.Type = remote.Abort
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
	if o.answer != "" {
		err = f.Output.Reply(ctx, vm, o.answer, m.Text)
	} else {
		err = f.Output.Send(ctx, vm, m)
	}
	if err != nil {
		return err
	}
	return reportSent(env, vm, m, o.answer)
}

// reportSent tells that the lieutenant has the message.
func reportSent(env *Env, vm inventory.VM, m remote.Message, answer string) error {
	env.Streams.Notef("sent to %s; see what it says: vers-fleet output %s --follow", vm.Title(), vm.Arg())
	if env.Format().Table() {
		return nil
	}
	s := sent{VMID: vm.ID, Name: vm.Name, Type: string(m.Type), Answer: answer, SentAt: time.Now().UTC()}
	if answer != "" {
		s.Type = "answer"
	}
	return ui.Listing[sent]{Name: func(s sent) string { return orID(s.Name, s.VMID) }}.Print(env.Streams, env.Format(), []sent{s})
}

// sent is a message that a lieutenant has.
type sent struct {
	VMID   string    `json:"vm_id"`
	Name   string    `json:"name,omitempty"`
	Type   string    `json:"type"`             // as the agent calls it
	Answer string    `json:"answer,omitempty"` // id of the question
	SentAt time.Time `json:"sent_at"`
}
