package cmd

import (
	"context"

	"github.com/spf13/cobra"
)

type sshConfigOptions struct{ install, uninstall bool }

func newSSHConfigCommand(env *Env) *cobra.Command {
	var o sshConfigOptions
	c := &cobra.Command{
		Use:   "ssh-config",
		Short: "Let plain ssh, scp, rsync, editors and Ansible reach the VMs",
		Long: `Prints ssh_config entries vers-NAME for every VM with a recorded key.
--install writes them to a file of their own and includes it at the top of
~/.ssh/config; running it again keeps them current. --uninstall undoes it.
They use recorded keys only and carry the settings they need, so they work while
the API is down, and from editors and cron.`,
		Example: `  vers-fleet ssh-config --install
  ssh vers-marketing
  rsync -a vers-marketing:/root/workspace/ ./marketing/`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runSSHConfig(c.Context(), env, o) },
	}
	c.Flags().BoolVar(&o.install, "install", false, "write the entries and include them in ~/.ssh/config")
	c.Flags().BoolVar(&o.uninstall, "uninstall", false, "take them out again")
	c.MarkFlagsMutuallyExclusive("install", "uninstall")
	return about(c, groupSSH, "works, from the cache", exitOK, exitStorage)
}

func runSSHConfig(ctx context.Context, env *Env, o sshConfigOptions) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	switch {
	case o.install:
		path, n, err := f.OpenSSH.Install(ctx)
		if err == nil {
			env.Streams.Notef("%d VMs in %s; try: ssh vers-NAME", n, path)
		}
		return err
	case o.uninstall:
		return f.OpenSSH.Uninstall(ctx)
	}
	text, _, err := f.OpenSSH.Config()
	if err != nil {
		return err
	}
	return writeText(env.Streams.Out, text)
}
