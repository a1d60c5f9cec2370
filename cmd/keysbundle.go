package cmd

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

type keysExportOptions struct {
	file       string
	recipients []string
	armor      bool
	ssh        string
}

func newKeysExportCommand(env *Env) *cobra.Command {
	var o keysExportOptions
	c := &cobra.Command{
		Use: "export [FILE]", Short: "Write one encrypted bundle, so that a colleague can take over",
		Long: `Writes keys, host keys, inventory and names as one bundle, encrypted with age to
the given recipients (age1... or SSH public keys), or with a passphrase that is
asked for. FILE - or a pipe means stdout. With --ssh the keys are written
unencrypted, with an ssh_config, for plain OpenSSH.`,
		Example: `  vers-fleet keys export fleet.age --to "$(cat ~/.ssh/colleague.pub)"
  vers-fleet keys export --ssh ./fleet-ssh && ssh -F ./fleet-ssh/config vers-marketing`,
		Args: argCount(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.file = args[0]
			}
			return runKeysExport(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.recipients, "to", nil, "`RECIPIENT` who can open it; repeat it for several")
	f.BoolVarP(&o.armor, "armor", "a", false, "text instead of binary")
	f.StringVar(&o.ssh, "ssh", "", "write keys and ssh_config, unencrypted, into this `FOLDER`")
	return about(c, "", "works; that is its purpose", exitOK, exitStorage)
}

func runKeysExport(ctx context.Context, env *Env, o keysExportOptions) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	if o.ssh != "" {
		if o.file != "" || len(o.recipients) > 0 {
			return usageError("--ssh goes with neither FILE nor --to", "", "give only the folder")
		}
		n, err := f.OpenSSH.Export(ctx, o.ssh)
		if err == nil {
			env.Streams.Notef("%d keys written, unencrypted; use them with: ssh -F %s/config vers-NAME", n, o.ssh)
		}
		return err
	}
	toStdout := o.file == "" || o.file == "-"
	if toStdout && env.Streams.OutTerminal() && !o.armor {
		return usageError("a bundle is binary, and stdout is a terminal", "", "name a file, or add --armor")
	}
	opts := keys.ExportOptions{Recipients: o.recipients, Armor: o.armor}
	if len(o.recipients) == 0 {
		if opts.Passphrase, err = newPassphrase(env, "Passphrase for the bundle:"); err != nil {
			return err
		}
	}
	var bundle bytes.Buffer // small: about 1 KB a VM; nothing half-written reaches the file
	sum, err := f.Keys.Export(ctx, &bundle, opts)
	if err != nil {
		return err
	}
	for _, s := range sum.Skipped {
		env.Streams.Warnf("%s: %s", s.VMID, s.What)
	}
	if toStdout {
		_, err = env.Streams.Out.Write(bundle.Bytes())
	} else {
		err = f.Remote.WriteFile(o.file, bundle.Bytes())
	}
	if err == nil {
		env.Streams.Notef("a bundle with the keys of %s was written; whoever may open it runs: vers-fleet keys import FILE", ui.Count(sum.VMs, "VM"))
	}
	return err
}

// newPassphrase asks for a passphrase twice, on a terminal only.
func newPassphrase(env *Env, question string) ([]byte, error) {
	first, err := env.Streams.Secret(question)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, usageError("a passphrase is needed", err.Error(), "run it on a terminal, or use recipients: --to")
	}
	again, err := env.Streams.Secret("Again:")
	switch {
	case err != nil:
		return nil, err
	case len(first) == 0:
		return nil, usageError("an empty passphrase protects nothing", "", "choose another")
	case !bytes.Equal(first, again):
		return nil, usageError("the two passphrases differ", "", "try again")
	}
	return first, nil
}

type keysImportOptions struct {
	file     string
	found    bool
	dryRun   bool
	yes      bool
	identity string
}

func newKeysImportCommand(env *Env) *cobra.Command {
	var o keysImportOptions
	c := &cobra.Command{
		Use: "import [FILE]", Short: "Take over keys, from a bundle or from other Vers clients",
		Long: `Merges a bundle that keys export wrote; nothing newer is overwritten. What it
holds are claims of whoever wrote it: a key that has logged in from here stays
until another one has, and no name changes its meaning here. New names and
aliases are taken over if you agree, or with --yes. --dry-run shows what would
be done.
With --found it adopts the keys that other Vers clients left on this machine, as
unproven until a login has worked; what another user could have planted is
refused.`,
		Example: `  vers-fleet keys import fleet.age
  vers-fleet keys import --found --dry-run`,
		Args: argCount(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.file = args[0]
			}
			return runKeysImport(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.found, "found", false, "adopt keys that other Vers clients left on this machine")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "show what would be done")
	f.BoolVarP(&o.yes, "yes", "y", false, "take over new names without being asked")
	f.StringVarP(&o.identity, "identity", "i", "", "age identity or SSH private key `FILE` that opens the bundle")
	return about(c, "", "works; that is its purpose", exitOK, exitNotFound, exitPartial, exitStorage)
}

func runKeysImport(ctx context.Context, env *Env, o keysImportOptions) error {
	if o.found == (o.file != "") {
		return usageError("name a bundle, or use --found", "", "see: vers-fleet keys import --help")
	}
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	if o.found {
		return importFound(env, f, o.dryRun)
	}
	in := env.Streams.In
	if o.file != "-" {
		file, err := f.Keys.OpenBundle(o.file)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	return importBundle(ctx, env, f, in, o)
}

// maxBundle bounds a bundle, bytes: whoever wrote it is not known. One of 100,000
// VMs has less than half of it.
const maxBundle = 256 << 20

func readBundle(in io.Reader, limit int64) ([]byte, error) {
	bundle, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(bundle)) > limit {
		err = errors.New("it has more than " + ui.Bytes(limit))
	}
	if err != nil {
		return nil, &problem.Error{Kind: problem.Usage, What: "cannot read the bundle", Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	return bundle, nil
}

func importBundle(ctx context.Context, env *Env, f *fleet.Fleet, in io.Reader, o keysImportOptions) error {
	bundle, err := readBundle(in, maxBundle)
	if err != nil {
		return err
	}
	merge := keys.ImportOptions{IdentityFile: o.identity, DryRun: o.dryRun, Names: o.yes || o.dryRun}
	if !o.yes && !o.dryRun {
		if merge.Names, err = agreeToNames(ctx, env, f, bundle, o); err != nil {
			return err
		}
	}
	plan, importErr := f.Keys.Import(ctx, bytes.NewReader(bundle), merge)
	list := ui.Listing[keys.PlanItem]{
		Columns: []ui.Column[keys.PlanItem]{
			{Header: "ACTION", Value: func(i keys.PlanItem) string { return string(i.Action) }},
			{Header: "WHAT", Wraps: true, Value: func(i keys.PlanItem) string { return i.What }},
			{Header: "VM", Value: func(i keys.PlanItem) string { return dash(orID(i.Name, i.VMID)) }},
			{Header: "WHY", Wraps: true, Sparse: true, Value: func(i keys.PlanItem) string { return dash(i.Why) }},
		},
		Name: func(i keys.PlanItem) string { return orID(i.Name, i.VMID) },
	}
	if err := list.Print(env.Streams, env.Format(), plan.Items); err != nil {
		return err
	}
	if n := plan.Count(keys.ActionRefuse); importErr == nil && n > 0 {
		return &problem.Error{Kind: problem.Partial, What: "not all of the bundle was taken over: " + ui.Count(n, "thing") + " refused", Why: "see the list", Origin: problem.OriginLocal}
	}
	return importErr
}

// agreeToNames shows the names that a bundle would bring and asks for consent.
// Where nobody can be asked they are left out: keys alone save the work.
func agreeToNames(ctx context.Context, env *Env, f *fleet.Fleet, bundle []byte, o keysImportOptions) (bool, error) {
	plan, err := f.Keys.Import(ctx, bytes.NewReader(bundle), keys.ImportOptions{IdentityFile: o.identity, DryRun: true, Names: true})
	if err != nil {
		return false, nil // the import itself says so
	}
	fresh := 0
	for _, i := range plan.Items {
		if i.Action == keys.ActionAdd && (i.What == "name" || i.What == "alias") {
			fresh++
			if env.Streams.CanAsk() {
				env.Streams.Notef("%s %s is %s", i.What, i.Why, i.VMID)
			}
		}
	}
	switch {
	case fresh == 0:
		return false, nil
	case !env.Streams.CanAsk():
		env.Streams.Notef("%s of the bundle left out: --yes takes them over", ui.Count(fresh, "name"))
		return false, nil
	}
	return env.Streams.Confirm(ctx, "Take over "+ui.Count(fresh, "name")+" that the bundle gives to VMs?")
}

func importFound(env *Env, f *fleet.Fleet, dryRun bool) error {
	found, err := f.Keys.Adopt(dryRun)
	if err != nil {
		return err
	}
	list := ui.Listing[keys.AdoptableKey]{
		Columns: []ui.Column[keys.AdoptableKey]{
			{Header: "VM", Value: func(k keys.AdoptableKey) string { return dash(orID(k.Name, k.VMID)) }},
			{Header: "RESULT", Value: func(k keys.AdoptableKey) string { return foundResult(k, dryRun) }},
			{Header: "FILE", Value: func(k keys.AdoptableKey) string { return k.Path }},
		},
		Name:  func(k keys.AdoptableKey) string { return orID(k.Name, k.VMID) },
		Empty: "no keys of other Vers clients are on this machine",
	}
	return list.Print(env.Streams, env.Format(), found)
}

func foundResult(k keys.AdoptableKey, dryRun bool) string {
	switch {
	case k.Adopted:
		return "adopted, unproven"
	case k.Refused != "":
		return "refused: " + k.Refused
	case k.Recorded:
		return "recorded already"
	case dryRun:
		return "would be adopted"
	}
	return "not needed: the VM has a recorded key"
}
