package cmd

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// shareName is the hidden command that ssh and others start in the background.
const shareName = "share-connection"

type shareOptions struct {
	vm     string
	socket string
	keys   bool
}

func newShareCommand(env *Env) *cobra.Command {
	var o shareOptions
	c := &cobra.Command{
		Use:    shareName + " VM-ID",
		Short:  "Keep a connection that later commands reuse",
		Hidden: true,
		Args:   argCount(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			o.vm = args[0]
			return runShare(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.socket, "socket", "", "`PATH` at which to lend it")
	f.BoolVar(&o.keys, "keys-on-stdin", false, "read the private keys as JSON from stdin")
	return c
}

func runShare(ctx context.Context, env *Env, o shareOptions) error {
	if o.socket == "" || !o.keys {
		return usageError(shareName+" is started by ssh, exec, output and send", "", "see the setting ssh.share: vers-fleet help environment")
	}
	// It holds what logs in, for longer than any command: no core file, and no
	// debugger of another program of this user's, may have that.
	if err := hideMemory(); err != nil {
		env.Streams.Debugf("this process can be dumped: %v", err)
	}
	b := access.Background{VMID: o.vm, Socket: o.socket}
	if err := json.NewDecoder(io.LimitReader(env.Streams.In, maxShareKeys)).Decode(&b.Keys); err != nil {
		return usageError("no keys on stdin", safe.Clean(err.Error()), "")
	}
	closeInherited()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	return f.Access.Share(ctx, b)
}

// maxShareKeys is less than a pipe holds, so that handing the keys over never
// waits (pipe(7): 64 KiB on Linux, at least 16 KiB elsewhere).
const maxShareKeys = 16 << 10

// sharing is how connections are shared by the settings. environment is what
// the background process needs to know of them.
func (e *Env) sharing(s *settings.Settings, environment []string) access.Sharing {
	for _, name := range []string{"PATH", "TMPDIR", "GORACE"} {
		if v := e.Getenv(name); v != "" {
			environment = append(environment, name+"="+v)
		}
	}
	return access.Sharing{
		Idle: s.Share, Runtime: e.Getenv("XDG_RUNTIME_DIR"), Variant: e.Build.UserAgent() + "\x00" + s.TLSCA,
		Start: func(b access.Background) error { return e.startShare(s, environment, b) },
	}
}
