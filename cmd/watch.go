package cmd

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// watchFlag is --watch or --watch=INTERVAL.
type watchFlag struct {
	every *time.Duration // 0: not given
	usual time.Duration
}

var _ pflag.Value = watchFlag{}

// addWatchFlag adds --watch; without a value it means usual.
func addWatchFlag(f *pflag.FlagSet, every *time.Duration, usual time.Duration, usage string) {
	f.Var(watchFlag{every, usual}, "watch", usage+" (every "+usual.String()+" if INTERVAL is left out)")
	f.Lookup("watch").NoOptDefVal = watchUsual
}

// watchUsual is what pflag sets for --watch without a value; its help text
// then reads --watch[=INTERVAL].
const watchUsual = "INTERVAL"

// String returns the value as it would be given; empty when unset.
func (w watchFlag) String() string {
	if w.every == nil || *w.every == 0 {
		return ""
	}
	return w.every.String()
}

// Set reads the interval; the shortest is a second.
func (w watchFlag) Set(s string) error {
	if s == watchUsual {
		*w.every = w.usual
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return usageError("--watch needs an interval of at least a second", "got "+safe.Clean(s), "write it with an equals sign, as in --watch=30s")
	}
	*w.every = d
	return nil
}

// meantInterval is the advice for whoever wrote --watch 5, if one of the words
// behind a watch is an interval rather than a name; otherwise nil.
func meantInterval(every time.Duration, words ...string) error {
	if every == 0 {
		return nil
	}
	for _, word := range words {
		value := word
		if _, notNumber := strconv.Atoi(word); notNumber == nil {
			value += "s"
		}
		if _, notDuration := time.ParseDuration(value); notDuration == nil {
			return usageError("--watch takes its interval with an equals sign", word+" after a space is a name", "write --watch="+value)
		}
	}
	return nil
}

// Type makes pflag's help text show the optional value and nothing else.
func (w watchFlag) Type() string { return "bool" }

// watch shows what show prints to env.Streams, again after each interval,
// until ctx ends, which is the way to end it. Outages do not; what cannot
// mend itself does when it is there from the start.
func watch(ctx context.Context, env *Env, every time.Duration, show func(context.Context) error) error {
	screen := env.Streams.NewScreen()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		draw := screen.Draw
		if !env.Format().Table() {
			draw = func(render func(*ui.Streams) error) error { return render(env.Streams) }
		}
		err := draw(func(s *ui.Streams) error { return showFrame(ctx, env, s, every, first, show) })
		if ctx.Err() != nil {
			return endless(ctx)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return endless(ctx)
		case <-tick.C:
		}
	}
}

// endless is how a command that has no end of its own ends: well when
// --timeout ended it, as interrupted by Ctrl-C.
func endless(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return ctx.Err()
}

// showFrame shows one picture. Everything the command says belongs to it, so
// env speaks to s meanwhile.
func showFrame(ctx context.Context, env *Env, s *ui.Streams, every time.Duration, first bool, show func(context.Context) error) error {
	usual := env.Streams
	env.Streams = s
	defer func() { env.Streams = usual }()
	err := show(ctx)
	if err != nil && (ctx.Err() != nil || !problem.WatchGoesOn(err, first)) {
		return err
	}
	if err != nil {
		v, _ := view(err)
		s.ShowError(v, env.Format().Machine())
	}
	if env.Format().Table() && s.OutTerminal() {
		return ui.Value{Text: func(t *ui.Text) {
			t.Styled(ui.Faint, "%s, every %s; Ctrl-C ends it", time.Now().Format(time.TimeOnly), every)
		}}.Print(s, env.Format())
	}
	return nil
}
