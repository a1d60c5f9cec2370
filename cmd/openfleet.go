package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// openFleetOnce returns the Env's Fleet function: the profile's fleet, opened
// at the first call with what the settings and flags say.
func (e *Env) openFleetOnce() func(context.Context) (*fleet.Fleet, error) {
	var once sync.Once
	var f *fleet.Fleet
	var err error
	return func(ctx context.Context) (*fleet.Fleet, error) {
		once.Do(func() { f, err = e.openFleet(ctx) })
		return f, err
	}
}

// openFleet opens the fleet; questions that it asks later end with ctx.
func (e *Env) openFleet(ctx context.Context) (*fleet.Fleet, error) {
	s, err := e.Settings()
	if err != nil {
		return nil, err
	}
	o, err := e.fleetOptions(ctx, s)
	if err != nil {
		return nil, err
	}
	e.opened, err = fleet.Open(o)
	return e.opened, err
}

// reopened is the fleet as the settings are now.
func (e *Env) reopened(ctx context.Context) (*fleet.Fleet, error) {
	s, err := settings.Load(e.source())
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return nil, err
	}
	o, err := e.fleetOptions(ctx, s)
	if err != nil {
		return nil, err
	}
	return fleet.Open(o)
}

// remindOfQueue tells of commits that wait although the API answered the
// command that has just ended; c is that command.
func (e *Env) remindOfQueue(c *cobra.Command) {
	if e.opened == nil || !e.opened.API.Answered() || slices.Contains([]string{"queue", "commit", "status", "mcp"}, strings.Fields(c.CommandPath() + " -")[1]) {
		return
	}
	if items, _ := e.opened.Commits.Queue(); len(items) > 0 {
		e.Streams.Notef("%s, and the API answers: vers-fleet queue run", waiting(len(items)))
	}
}

// waiting is "1 commit waits", "7 commits wait".
func waiting(n int) string {
	if n == 1 {
		return "1 commit waits"
	}
	return fmt.Sprintf("%d commits wait", n)
}

// warn tells what the user should know.
func (e *Env) warn(text string) {
	e.Streams.Warnf("%s", text)
	if e.heard != nil {
		e.heard(text)
	}
}

func (e *Env) fleetOptions(ctx context.Context, s *settings.Settings) (fleet.Options, error) {
	home, err := s.Home()
	if err != nil {
		return fleet.Options{}, err
	}
	roots, err := s.Roots()
	if err != nil {
		return fleet.Options{}, err
	}
	warn := e.warn
	if !s.TLSVerify {
		warn("TLS certificates of VMs are not verified (tls_verify is false), so nothing vouches for a VM that was never met: it is refused until its host key is accepted (vers-fleet keys accept-host VM FINGERPRINT)")
	}
	environment, err := s.Environment()
	if err != nil {
		return fleet.Options{}, err
	}
	mode, limit := e.Mode()
	o := fleet.Options{
		Home: home, Profile: s.Profile,
		API: outage.Config{
			BaseURL: s.APIURL, APIKey: s.APIKey, UserAgent: e.Build.UserAgent(),
			Warn: warn, Logf: e.Streams.Debugf,
		},
		VMDomain: s.VMDomain, VMGateway: s.VMGateway,
		LoadRoots: roots, CAFile: s.TLSCA, TLSVerify: s.TLSVerify, ProxyEnv: environment, StrictSSH: s.StrictSSH,
		Share: e.sharing(s, environment), ConnectTimeout: s.ConnectTimeout,
		PullPaths: s.PullPaths, SilentAfter: s.SilentAfter,
		Retry: outage.Policy{Base: s.RetryBase, Cap: s.RetryCap, MaxElapsed: s.RetryMaxElapsed},
		Mode:  mode, WaitFor: limit, QueueTTL: s.QueueExpires,
		Config:   configOwn(e.flags.set),
		UserHome: settings.UserHome(), VersHome: e.Getenv("VERS_HOME"), AgentDir: e.Getenv("PI_CODING_AGENT_DIR"), TempDirs: []string{os.TempDir()},
		Registry: inventory.Registry{URL: s.RegistryURL, Token: s.RegistryToken},
		Keystore: keys.StoreOptions{
			Passphrase: e.Streams.Passphrase, IdentityFile: s.KeysIdentity, Keyring: s.KeysKeyring, ScryptWork: e.scrypt,
		},
		Warn: warn, Logf: e.Streams.Debugf,
		OnWait: e.showWait, Confirm: func(question string) error { return e.confirm(ctx, question) },
	}
	return e.ofDaemon(o, s), nil
}

// ofDaemon fills in what the daemon, and whoever asks it, needs.
func (e *Env) ofDaemon(o fleet.Options, s *settings.Settings) fleet.Options {
	o.Mirror = daemon.Mirror{Folder: s.MirrorFolder, Paths: s.MirrorPaths, Keep: s.MirrorKeep}
	o.Runtime, o.LogTo = e.Getenv("XDG_RUNTIME_DIR"), e.logTo
	if e.logTo != nil { // its connections are its own, and nobody watches it wait
		o.Share, o.OnWait = access.Sharing{}, nil
	}
	return o
}

// configOwn is the configuration file, and its folder where that is ours alone.
func configOwn(flags *pflag.FlagSet) []string {
	path, err := settings.Path(flags)
	if err != nil {
		return nil
	}
	own := []string{path}
	if dir := filepath.Dir(path); filepath.Base(dir) == "vers-fleet" {
		own = append(own, dir)
	}
	return own
}

// patience is how long the API may take before it is worth a word.
const patience = 400 * time.Millisecond

// showWait shows a pause before the next try, and a try that takes long; the
// result ends it.
func (e *Env) showWait(w outage.Waiting) func() {
	moving, delay := e.Streams.Moving(), time.Duration(0)
	if w.Attempt == 0 {
		if !moving {
			return func() {}
		}
		delay = patience
	}
	waiter := e.Streams.NewWaiter()
	waiter.StartAfter(delay, func() string { return waitText(w, time.Now(), moving, e.Streams.Verbose()) })
	return waiter.Stop
}

// waitText tells reason, next try and for how long the API has been down, and
// verbosely which attempt it was. A live line counts down; a plain one says when.
func waitText(w outage.Waiting, now time.Time, live, verbose bool) string {
	if w.Attempt == 0 {
		return w.What + ": waiting for the API's answer"
	}
	next := "next try at " + problem.Clock(w.Next)
	if live {
		next = "next try in " + ui.Span(max(0, w.Next.Sub(now).Round(time.Second)))
	}
	if verbose {
		next += fmt.Sprintf(", attempt %d failed", w.Attempt)
	}
	if !w.DownSince.IsZero() {
		next += ", down for " + ui.Span(now.Sub(w.DownSince))
	}
	text := fmt.Sprintf("%s: %s (%s)", w.What, next, w.Reason)
	if w.Forecast != "" {
		text += "; " + w.Forecast
	}
	return text
}

// confirm asks before something is lost; no is an error of kind interrupted.
func (e *Env) confirm(ctx context.Context, question string) error {
	yes, err := e.Streams.Confirm(ctx, question)
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return usageError("not done without a confirmation", err.Error(), "add --yes to go ahead without being asked")
	}
	if !yes {
		return &problem.Error{Kind: problem.Interrupted, What: "not done", Why: "the answer was no", Origin: problem.OriginLocal}
	}
	return nil
}
