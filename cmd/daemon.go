package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

func newDaemonCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "daemon",
		Short: "Keep inventory, keys and the work fresh by itself",
		Long: `One process for each profile that does by itself what else is done by hand: it
records new VMs with their keys, proves once an hour that each can be reached,
watches lieutenants, brings the work home at the end of an answer
(mirror.folder), and sends the queue when the API is back. What happens becomes
an event. All other commands work without it.`,
		Example: `  vers-fleet daemon status
  vers-fleet daemon events --follow`,
	}
	c.AddCommand(newDaemonRunCommand(env), newDaemonStatusCommand(env), newDaemonLogsCommand(env), newDaemonEventsCommand(env))
	return about(c, groupOutage, "that is its purpose", exitOK, exitNotFound, exitStorage)
}

func newDaemonRunCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "run", Short: "Run the daemon here, until interrupted",
		Long: `Runs until it is interrupted, and then ends within five seconds. SIGHUP makes it
read the configuration again; a wrong one changes nothing. It logs to stderr, as
JSON with -o json, and to a file that vers-fleet daemon logs shows.`,
		Example: `  vers-fleet daemon run
  vers-fleet daemon run -o json 2>> daemon.log`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDaemon(c.Context(), env) },
	}
	return about(c, "", "goes on; what needs the API waits for it", exitOK, exitStorage)
}

// logHandler is where the daemon logs beside its file.
func (e *Env) logHandler() slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if e.Streams.Verbose() {
		o.Level = slog.LevelDebug
	}
	if e.format.Machine() {
		return slog.NewJSONHandler(e.Streams.Err, o)
	}
	return slog.NewTextHandler(e.Streams.Err, o)
}

func runDaemon(ctx context.Context, env *Env) error {
	if err := hideMemory(); err != nil {
		env.Streams.Debugf("this process can be dumped: %v", err)
	}
	env.logTo = env.logHandler()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP) // it ends every other command
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for ctx.Err() == nil {
		run, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- f.Daemon.Run(run) }()
		next, err := awaitReload(ctx, env, hup, ended)
		stop()
		if next == nil {
			return err
		}
		if err := <-ended; err != nil {
			return err
		}
		f = next
	}
	return nil
}

// awaitReload returns the fleet with which the daemon is to go on, or none and
// how it has ended.
func awaitReload(ctx context.Context, env *Env, hup <-chan os.Signal, ended <-chan error) (*fleet.Fleet, error) {
	log := slog.New(env.logTo)
	for {
		select {
		case err := <-ended:
			return nil, err
		case <-hup:
			next, err := env.reopened(ctx)
			if err == nil {
				log.Info("the configuration was read again")
				return next, nil
			}
			log.Warn("the configuration is wrong, so nothing has changed", "error", err)
		}
	}
}

func newDaemonStatusCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "How the daemon fares",
		Long: `Tells what the daemon of the profile does: its loops, the lieutenants it
watches, VMs out of reach, and what of the work is home. Exit 3 if none runs.`,
		Example: `  vers-fleet daemon status
  vers-fleet daemon status --jq '.mirror.vms[] | select(.behind) | .name'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDaemonStatus(c.Context(), env) },
	}
	return about(c, "", "works", exitOK, exitNotFound, exitStorage)
}

func runDaemonStatus(ctx context.Context, env *Env) error {
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	s, err := f.Daemon.Status(ctx)
	if err != nil {
		return err
	}
	if s.Running || !env.Format().Table() {
		name := "running"
		if !s.Running {
			name = "stopped"
		}
		if err := (ui.Value{JSON: s, Name: name, Text: func(t *ui.Text) { daemonText(t, s, time.Now()) }}).Print(env.Streams, env.Format()); err != nil {
			return err
		}
	}
	if !s.Running {
		return &problem.Error{Kind: problem.NotFound, What: "no daemon runs for the profile " + s.Profile, Origin: problem.OriginLocal, Next: "start one: vers-fleet daemon run"}
	}
	return nil
}

// daemonText is one screen for people.
func daemonText(t *ui.Text, s daemon.Status, now time.Time) {
	t.Field("Daemon", ui.Good, "runs since %s, process %d, profile %s", t.Time(s.Since, now), s.PID, s.Profile)
	t.Field("Fleet", ui.Normal, "%s, %d with a recorded key", ui.Count(s.VMs, "VM"), s.Keys)
	for _, text := range s.Unreachable {
		t.Field("Out of reach", ui.Bad, "%s", text)
	}
	var phases []string
	for _, phase := range slices.Sorted(maps.Keys(s.Lieutenants)) {
		phases = append(phases, fmt.Sprintf("%d %s", s.Lieutenants[phase], phase))
	}
	if len(phases) > 0 {
		t.Field("Lieutenants", ui.Normal, "%s", strings.Join(phases, ", "))
	}
	mirrorText(t, s.Mirror)
	for _, l := range s.Loops {
		text, style := "no turn yet", ui.Faint
		if !l.Last.IsZero() {
			text, style = fmt.Sprintf("last turn %s, next %s", t.Time(l.Last, now), t.Time(l.Next, now)), ui.Normal
		}
		if l.Error != "" {
			text, style = text+"; failed: "+l.Error, ui.Bad
		}
		t.Field("Loop "+l.Name, style, "%s", text)
	}
}

func mirrorText(t *ui.Text, m daemon.MirrorStatus) {
	if m.Folder == "" {
		t.Field("Mirror", ui.Faint, "off; the work comes home with: vers-fleet config set mirror.folder FOLDER")
		return
	}
	home, last := 0, 0
	for _, v := range m.VMs {
		switch {
		case v.LastState:
			last++
		case !v.HomeAt.IsZero():
			home++
		}
		if v.Behind || v.Error != "" {
			t.Field("Not home", ui.Bad, "%s: %s", orID(v.Name, v.VMID), orID(v.Error, "nothing has come for long"))
		}
	}
	text := fmt.Sprintf("%s at home in %s", ui.Count(home, "VM"), m.Folder)
	if last > 0 {
		text += fmt.Sprintf("; the last state of %d that are gone or paused", last)
	}
	t.Field("Mirror", ui.Normal, "%s", text)
}

func newDaemonLogsCommand(env *Env) *cobra.Command {
	var most uint
	c := &cobra.Command{
		Use: "logs", Short: "What the daemon logged",
		Long:    "Shows the last lines of the daemon's log, also of one that runs no more.",
		Example: "  vers-fleet daemon logs\n  vers-fleet daemon logs --last 1000 -o jsonl",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runDaemonLogs(c.Context(), env, most) },
	}
	c.Flags().UintVar(&most, "last", 50, "the last `N` lines; 0: all that are kept")
	return about(c, "", "works", exitOK, exitStorage)
}

func runDaemonLogs(ctx context.Context, env *Env, most uint) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	lines, err := f.Daemon.Logs()
	if err != nil {
		return err
	}
	return ui.Listing[daemon.LogLine]{
		Columns: []ui.Column[daemon.LogLine]{
			{Header: "WHEN", Time: func(l daemon.LogLine) time.Time { return l.At }},
			{Header: "LEVEL", Value: func(l daemon.LogLine) string { return l.Level }},
			{Header: "TEXT", Wraps: true, Value: func(l daemon.LogLine) string { return l.Text + fieldsText(l.Fields) }},
		},
		Name:  func(l daemon.LogLine) string { return l.Text },
		Empty: "nothing was logged yet: run vers-fleet daemon run",
	}.Print(env.Streams, env.Format(), lastOf(lines, most))
}

// lastOf are the last most of a list; all if most is 0.
func lastOf[T any](list []T, most uint) []T {
	if n := uint(len(list)); most > 0 && n > most {
		return list[n-most:]
	}
	return list
}

func fieldsText(fields map[string]any) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, " %s=%v", key, fields[key])
	}
	return b.String()
}

func newDaemonEventsCommand(env *Env) *cobra.Command {
	var follow bool
	var most uint
	c := &cobra.Command{
		Use: "events", Short: "What happened to the fleet",
		Long: `Shows the last events, oldest first: those that the daemon has noticed, and
those that wait --for or queue run have. With --follow it goes on as they come;
scripts read -o jsonl.`,
		Example: `  vers-fleet daemon events
  vers-fleet daemon events --follow -o jsonl`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDaemonEvents(c.Context(), env, follow, most) },
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with those that come, until interrupted")
	c.Flags().UintVar(&most, "last", 50, "the last `N` events; 0: all that are kept")
	return about(c, "", "works", exitOK, exitStorage)
}

func runDaemonEvents(ctx context.Context, env *Env, follow bool, most uint) error {
	if follow && !env.Format().Table() && !env.Format().Lines() {
		return usageError("--follow has no end, and this output format needs one", "", "use -o jsonl for scripts")
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	events, last, err := f.Events.After(0)
	if err != nil {
		return err
	}
	list := eventListing()
	if err := list.Print(env.Streams, env.Format(), lastOf(events, most)); err != nil || !follow {
		return err
	}
	list.Empty = ""
	err = f.Events.Follow(ctx, last, true, func(e daemon.Event) error {
		if env.Format().Lines() {
			return ui.PrintLine(env.Streams, e)
		}
		_, err := fmt.Fprintf(env.Streams.Out, "%s\t%s\t%s\n", ui.Absolute(e.At), e.Type, e.Text)
		return err
	})
	if ctx.Err() != nil {
		return endless(ctx)
	}
	return err
}

func eventListing() ui.Listing[daemon.Event] {
	return ui.Listing[daemon.Event]{
		Columns: []ui.Column[daemon.Event]{
			{Header: "WHEN", Time: func(e daemon.Event) time.Time { return e.At }},
			{Header: "EVENT", Value: func(e daemon.Event) string { return string(e.Type) }},
			{Header: "TEXT", Wraps: true, Value: func(e daemon.Event) string { return e.Text }},
		},
		Name:  func(e daemon.Event) string { return string(e.Type) },
		Empty: "nothing has happened yet; the daemon and wait --for notice what does",
	}
}
