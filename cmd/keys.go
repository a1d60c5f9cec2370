package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

func newKeysCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "The recorded SSH keys of the fleet",
		Long: `The local keystore: one OpenSSH private key per VM, recorded while the API
answers and used when it does not.`,
		Example: "  vers-fleet keys sync\n  vers-fleet keys list\n  ssh -i \"$(vers-fleet keys path marketing)\" ...",
	}
	c.AddCommand(newKeysListCommand(env), newKeysSyncCommand(env), newKeysCheckCommand(env), newKeysImportCommand(env),
		newKeysExportCommand(env), newKeysRemoveCommand(env), newKeysPruneCommand(env), newKeysPathCommand(env),
		newKeysAcceptHostCommand(env), newKeysEncryptCommand(env), newKeysDecryptCommand(env), newKeysRekeyCommand(env))
	return about(c, groupKeys, "all but sync work", exitOK, exitNotFound, exitStorage)
}

func newKeysListCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the recorded keys",
		Long:    "Lists the recorded keys: where each came from, when it was fetched and when a\nlogin with it last worked.",
		Example: "  vers-fleet keys list\n  vers-fleet keys list -o json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runKeysList(c.Context(), env) },
	}
	return about(c, "", "works", exitOK, exitStorage)
}

func runKeysList(ctx context.Context, env *Env) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	keys, err := f.Keys.List()
	if err != nil {
		return err
	}
	return keyListing().Print(env.Streams, env.Format(), keys)
}

func keyListing() ui.Listing[keys.Info] {
	return ui.Listing[keys.Info]{
		Columns: []ui.Column[keys.Info]{
			{Header: "VM", Value: func(k keys.Info) string { return orID(k.Name, k.VMID) }},
			{Header: "KEY", Minor: true, Value: func(k keys.Info) string { return dash(k.Fingerprint) }},
			{Header: "FROM", Value: func(k keys.Info) string { return dash(k.Key.Source) }},
			{Header: "FETCHED", Time: func(k keys.Info) time.Time { return k.Key.FetchedAt }},
			{Header: "VERIFIED", Time: func(k keys.Info) time.Time { return k.Key.ProvedAt }},
			{Header: "HOST KEY", Wide: true, Value: func(k keys.Info) string { return dash(k.HostKey) }},
			{Header: "ID", Wide: true, Value: func(k keys.Info) string { return k.VMID }},
			{Header: "PROBLEM", Wraps: true, Sparse: true, Value: func(k keys.Info) string { return dash(k.Key.Problem) }},
		},
		Name:  func(k keys.Info) string { return orID(k.Name, k.VMID) },
		Empty: "no key is recorded: run vers-fleet keys sync while the API is up",
	}
}

func newKeysSyncCommand(env *Env) *cobra.Command {
	var o fleet.SyncOptions
	var crontab bool
	c := &cobra.Command{
		Use: "sync", Short: "Fetch every key and host key that is missing",
		Long: `Records the inventory and fetches every SSH key and host key that is missing.
When nothing is missing it makes one API call, so cron may run it every minute:
with -q it says nothing when nothing changed or the API is down. --crontab
prints a line for crontab -e that works where cron sees none of your variables.`,
		Example: "  vers-fleet keys sync\n  vers-fleet keys sync --refresh\n  vers-fleet keys sync --crontab",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if crontab {
				return printCrontab(env)
			}
			return runKeysSync(c.Context(), env, o)
		},
	}
	c.Flags().BoolVar(&crontab, "crontab", false, "only print a line for crontab -e")
	c.Flags().BoolVar(&o.Refresh, "refresh", false, "fetch the recorded keys again too, to learn of changed ones")
	c.Flags().BoolVar(&o.NoHostKeys, "no-host-keys", false, "do not ask the VMs for their host keys")
	return about(c, "", "cannot work, exit 5; nothing recorded is lost", exitOK, exitAuth, exitUnavailable, exitPartial, exitStorage)
}

func runKeysSync(ctx context.Context, env *Env, o fleet.SyncOptions) error {
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	w := env.Streams.NewWaiter()
	o.OnProgress = func(p keys.Progress) { w.Start(fmt.Sprintf("fetched %d of %d keys", p.Done, p.Total)) }
	report, syncErr := f.Sync(ctx, o)
	w.Stop()
	if syncErr != nil && report.VMs == 0 {
		if env.Streams.Quiet() && fleetKind(syncErr) == problem.Unavailable {
			return &codeError{code: exitUnavailable, err: syncErr, silent: true}
		}
		return syncErr
	}
	if env.Streams.Quiet() && env.Format().Table() && syncErr == nil && report.Fetched+report.HostKeys == 0 {
		return nil
	}
	if err := syncValue(report).Print(env.Streams, env.Format()); err != nil {
		return err
	}
	return syncErr
}

// printCrontab prints a line that runs keys sync from cron, which sees no
// exported variables and has a PATH of its own.
func printCrontab(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	words, err := s.Environment()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	words = append(append([]string{"/usr/bin/env"}, words...), self)
	if env.Getenv("VERS_API_KEY") != "" || env.Getenv("VERS_FLEET_API_KEY") != "" {
		env.Streams.Warnf("cron does not see the API key, which comes from a variable; store it: vers-fleet config set api_key -")
	}
	line := safe.Words(words...) + " --profile " + safe.Word(s.Profile) + " keys sync -q"
	return printLine(env, "*/5 * * * * "+strings.ReplaceAll(line, "%", `\%`)) // cron ends a line at a bare %
}

func syncValue(r keys.SyncReport) ui.Value {
	return ui.Value{JSON: r, Name: itoa(r.Fetched), Text: func(t *ui.Text) {
		t.Line("%s, %s fetched (%d changed), %s pinned, %d failed", ui.Count(r.VMs, "VM"), ui.Count(r.Fetched, "key"), r.Changed,
			ui.Count(r.HostKeys, "host key"), len(r.Failed))
		for _, f := range r.Failed {
			t.Styled(ui.Bad, "%s: %s", orID(f.Name, f.VMID), f.Why)
		}
	}}
}

func newKeysPathCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "path [VM]", Short: "Print where a key is, for ssh -i",
		Long:              "Prints the path of a VM's private key, or of the whole store without VM.",
		Example:           "  ssh -i \"$(vers-fleet keys path marketing)\" ...",
		Args:              argCount(0, 1),
		ValidArgsFunction: completeVMs(env, 1),
		RunE:              func(c *cobra.Command, args []string) error { return runKeysPath(c.Context(), env, args) },
	}
	return about(c, "", "works", exitOK, exitNotFound, exitStorage)
}

func runKeysPath(ctx context.Context, env *Env, args []string) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	path := f.Keys.Dir()
	if len(args) > 0 {
		if path, err = f.Keys.Path(ctx, args[0]); err != nil {
			return err
		}
	}
	return ui.Value{JSON: configPathValue{Path: path}, Name: path, Text: func(t *ui.Text) { t.Line("%s", path) }}.Print(env.Streams, env.Format())
}

func newKeysAcceptHostCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "accept-host VM FINGERPRINT", Short: "Accept a VM's changed host key",
		Long: `Replaces the pinned host key of a VM by the one it shows now, provided its
fingerprint is the one given. Compare it with a trusted source first.`,
		Example:           "  vers-fleet keys accept-host marketing SHA256:...",
		Args:              argCount(2, 2),
		ValidArgsFunction: completeVMs(env, 1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := env.Fleet(c.Context())
			if err != nil {
				return err
			}
			vm, err := f.Inventory.One(c.Context(), args[0])
			if err != nil {
				return err
			}
			return f.Access.AcceptHostKey(c.Context(), vm, args[1])
		},
	}
	return about(c, "", "works", exitOK, exitNotFound, exitUnreachable, exitIdentity)
}
