package cmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
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
	began := time.Now()
	if err := f.API.Await(ctx, env.Timeout()); err != nil {
		return err
	}
	if !env.Format().Table() {
		v := waitValue{State: "up", Waited: time.Since(began).Seconds()}
		return ui.Value{JSON: v, Name: v.State}.Print(env.Streams, env.Format())
	}
	env.Streams.Notef("the API answers")
	return nil
}

// waitValue is what wait found, for scripts.
type waitValue struct {
	State  string  `json:"state"`
	Waited float64 `json:"waited_seconds"`
}
