package cmd

import (
	"context"

	"github.com/spf13/cobra"
)

func newWaitCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "wait",
		Short: "Return when the API answers again",
		Long: `Returns as soon as the API answers: exit 0, or 5 when --timeout is over first.
However many processes wait, one probes at a time, about every ten seconds.`,
		Example: `  vers-fleet wait --timeout 15m && vers-fleet queue run`,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runWait(c.Context(), env) },
	}
	return about(c, groupOutage, "waits for it to return", exitOK, exitAuth, exitUnavailable)
}

func runWait(ctx context.Context, env *Env) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	if err := f.API.Await(ctx, env.Timeout()); err != nil {
		return err
	}
	env.Streams.Notef("the API answers")
	return nil
}
