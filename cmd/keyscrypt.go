package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/fleet/keys"
)

type keysCryptOptions struct {
	identity   string
	recipients []string
	rekey      bool
	keyring    bool
}

func newKeysEncryptCommand(env *Env) *cobra.Command {
	c := newCryptCommand(env, false, "encrypt", "Encrypt the keystore at rest",
		`Encrypts every key with age: to an identity (an age identity file or an SSH
private key, which keys.identity must name from then on), or with a passphrase.
Each VM switches in one step; an interrupted run is completed by running it
again. It protects against whoever gets the disk or a backup, not against
programs that run as you while the store is unlocked. Plain ssh -i cannot read
encrypted keys.`)
	return about(c, "", "works", exitOK, exitStorage)
}

func newKeysRekeyCommand(env *Env) *cobra.Command {
	c := newCryptCommand(env, true, "rekey", "Encrypt the keystore to another identity or passphrase",
		"Encrypts every key anew. The store must be unlocked by the old identity\n(keys.identity) or passphrase until it is done.")
	return about(c, "", "works", exitOK, exitStorage)
}

func newCryptCommand(env *Env, rekey bool, use, short, long string) *cobra.Command {
	o := keysCryptOptions{rekey: rekey}
	c := &cobra.Command{
		Use: use, Short: short, Long: long,
		Example: "  vers-fleet keys " + use + " --identity ~/.ssh/id_ed25519\n  vers-fleet keys " + use,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runCrypt(c.Context(), env, o) },
	}
	c.Flags().StringVarP(&o.identity, "identity", "i", "", "age identity or SSH private key `FILE`")
	c.Flags().BoolVar(&o.keyring, "keyring", false, "with a passphrase: let the operating system's keyring unlock it without a question")
	c.Flags().StringArrayVar(&o.recipients, "to", nil, "`RECIPIENT` who can open it too; repeat it for several")
	return c
}

func runCrypt(ctx context.Context, env *Env, o keysCryptOptions) error {
	byPassphrase := o.identity == "" && len(o.recipients) == 0
	if o.keyring && !byPassphrase {
		return usageError("--keyring goes with a passphrase only", "an identity file needs no keyring", "leave --keyring out, or --identity and --to")
	}
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	w := env.Streams.NewWaiter()
	defer w.Stop()
	opts := keys.EncryptOptions{IdentityFile: o.identity, Recipients: o.recipients,
		Progress: func(done, total int) { w.Start(fmt.Sprintf("%d of %d keys", done, total)) }}
	if byPassphrase {
		if opts.Passphrase, err = newPassphrase(env, "New passphrase for the keystore:"); err != nil {
			return err
		}
	}
	do := f.Keys.Encrypt
	if o.rekey {
		do = f.Keys.Rekey
	}
	if err := do(ctx, opts); err != nil {
		return err
	}
	if o.keyring {
		if err := f.Keys.ToKeyring(); err != nil {
			return err
		}
		env.Streams.Notef("unlock it without a question by: vers-fleet config set keys.keyring true")
	}
	if o.identity != "" {
		env.Streams.Notef("keys are opened by this identity alone now, so name it: vers-fleet config set keys.identity %s", o.identity)
	}
	return nil
}

func newKeysDecryptCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "decrypt", Short: "Turn an encrypted keystore back into plain files",
		Long:    "Turns an encrypted keystore back into plain 0600 files, as in ~/.ssh.",
		Example: "  vers-fleet keys decrypt",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := env.Fleet(c.Context())
			if err != nil {
				return err
			}
			w := env.Streams.NewWaiter()
			defer w.Stop()
			return f.Keys.Decrypt(c.Context(), func(done, total int) { w.Start(fmt.Sprintf("%d of %d keys", done, total)) })
		},
	}
	return about(c, "", "works", exitOK, exitStorage)
}
