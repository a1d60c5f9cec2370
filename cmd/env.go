package cmd

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Env is what every command is built with: the streams, the flags that all
// commands share, and lazy access to the settings and the fleet. Nothing is
// read from disk or environment before a command asks for it, so --help works
// without a configuration.
type Env struct {
	Streams *ui.Streams
	Getenv  func(string) string
	Args    []string // without the program's name
	Build   Build
	Fleet   func(context.Context) (*fleet.Fleet, error)

	opened  *fleet.Fleet // by Fleet; nil as long as no command asked
	flags   globalFlags
	foreign bool // stdout belongs to a VM
	quotes  bool // a shell that completes a word quotes what is offered
	format  ui.Format
	heard   func(string) // told of warnings too; nil = nobody
	logTo   slog.Handler // of the daemon; nil in every other command
	loaded  func() (*settings.Settings, error)
	scrypt  int                    // keystore.Options.ScryptWork; tests of this package set it
	restore atomic.Pointer[func()] // puts the terminal back as it was
}

// NewEnv returns an Env over the given streams and environment. getenv returns
// "" for what is not set; the settings read the process's own. Fleet opens the profile's fleet once.
func NewEnv(s *ui.Streams, getenv func(string) string, args []string) *Env {
	e := &Env{Streams: s, Getenv: getenv, Args: args, Build: readBuild()}
	e.loaded = sync.OnceValues(func() (*settings.Settings, error) { return settings.Load(e.source()) })
	e.Fleet = e.openFleetOnce()
	return e
}

// systemEnv is the Env of this process.
func systemEnv() *Env { return NewEnv(ui.System(os.Getenv), os.Getenv, os.Args[1:]) }

// setRestore remembers how to put the terminal back as it was.
func (e *Env) setRestore(f func()) { e.restore.Store(&f) }

// restoreTerminal puts the terminal back as it was, if anything changed it.
func (e *Env) restoreTerminal() {
	if f := e.restore.Load(); f != nil {
		(*f)()
	}
}

// Settings reads and checks the settings once. Errors are of kind usage and
// name the key and where its value came from.
func (e *Env) Settings() (*settings.Settings, error) {
	s, err := e.loaded()
	if err != nil {
		return nil, err
	}
	return s, s.Check()
}

// source is where the settings come from.
func (e *Env) source() settings.Source {
	return settings.Source{Flags: e.flags.set, Warn: func(s string) { e.Streams.Warnf("%s", s) }, Stderr: e.Streams.Err}
}

// Format is the output format, checked before the command runs.
func (e *Env) Format() ui.Format { return e.format }

// Mode is how the flags ask to treat the API; the duration belongs to
// outage.Wait and is 0 when there is no limit.
func (e *Env) Mode() (outage.Mode, time.Duration) {
	switch {
	case e.flags.offline:
		return outage.Offline, 0
	case e.flags.live:
		return outage.Live, 0
	case e.flags.wait.set:
		return outage.Wait, e.flags.wait.limit
	default:
		return outage.Auto, 0
	}
}

// Timeout is the value of --timeout, 0 when it was not given.
func (e *Env) Timeout() time.Duration { return e.flags.timeout }

// WithTimeout bounds ctx by --timeout. The command returns the error of the
// work as it is; exit.go knows a deadline when it sees one.
func (e *Env) WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.flags.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return problem.WithTimeout(ctx, e.flags.timeout)
}

// begin checks the shared flags, and those that exclude each other; it runs
// before every command.
func (e *Env) begin(c *cobra.Command, args []string) error {
	completing := c.Name() == cobra.ShellCompRequestCmd
	if completing {
		plainUsages(c.Root())
	}
	e.Streams.Configure(ui.Rules{
		NoColor: e.flags.noColor, NoProgress: e.flags.noProgress,
		Quiet: e.flags.quiet, Verbose: e.flags.verbose,
	})
	f, err := ui.ParseFormat(e.flags.output, e.flags.jq, e.flags.template)
	if err != nil {
		return err
	}
	e.format = f
	if err := refuseEmpty(c, args); err != nil && !completing {
		return err
	}
	if err := c.ValidateFlagGroups(); err != nil {
		return flagError(c, err)
	}
	return e.flags.check()
}
