package cmd

import (
	"context"

	"github.com/spf13/cobra"
)

func newProxyCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "proxy VM",
		Short: "Join stdin and stdout to a VM's SSH port, for ProxyCommand",
		Long: `Joins stdin and stdout to the SSH port of the VM, through the platform's TLS
front, so that plain ssh, scp, rsync, git and editors reach it. It is what the
entries of vers-fleet ssh-config use.`,
		Example: `  ssh -o ProxyCommand='vers-fleet proxy marketing' root@marketing`,
		Args:    argCount(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			env.foreign = true
			return runProxy(c.Context(), env, args[0])
		},
		ValidArgsFunction: completeVMs(env, 1),
	}
	return about(c, groupSSH, "works, from the cache", exitOK, exitNotFound, exitUnreachable, exitIdentity)
}

func runProxy(ctx context.Context, env *Env, name string) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, err := f.Inventory.One(ctx, name)
	if err != nil {
		return err
	}
	return f.Access.Proxy(ctx, vm, env.Streams.In, env.Streams.Out)
}
