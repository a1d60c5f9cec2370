package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/mcpserver"
	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

type mcpOptions struct {
	root                    string
	tools                   []string
	readOnly, allowChanges  bool
	http, tokenFile         string
	certificate, privateKey string
}

func newMCPCommand(env *Env) *cobra.Command {
	var o mcpOptions
	c := &cobra.Command{
		Use:   "mcp",
		Short: "The fleet as tools for AI agents (Model Context Protocol)",
		Long: `Speaks the Model Context Protocol on stdin and stdout, as AI agents start it, or
with --http at an address. Its tools list, read, pull, run commands, tell
lieutenants what to do and queue snapshots; each call names its VM. They never
show a key, and write below --root alone (default: ~/vers-fleet). With
--read-only nothing else is offered than what changes nothing; what pauses,
resumes and branches VMs is offered with --allow-changes only.
Usually a client starts it: vers-fleet mcp install CLIENT.`,
		Example: `  vers-fleet mcp install claude
  vers-fleet mcp --read-only
  vers-fleet mcp --tools fleet_vms,fleet_status,vm_output
  vers-fleet mcp --http 127.0.0.1:7481 --token-file ~/.vers-mcp-token`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runMCP(c.Context(), env, o) },
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&o.http, "http", "", "serve HTTP at `ADDRESS` instead; loopback unless there is TLS")
	f.StringVar(&o.tokenFile, "token-file", "", "with --http: `FILE` with the token that clients must send")
	f.StringVar(&o.certificate, "tls-cert", "", "with --http: PEM `FILE` with the certificate")
	f.StringVar(&o.privateKey, "tls-key", "", "with --http: PEM `FILE` with its key")
	c.MarkFlagsRequiredTogether("http", "token-file")
	c.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	c.AddCommand(newMCPInstallCommand(env))
	return about(c, groupTool, "works, as each tool's command does", exitOK, exitStorage)
}

// register adds the flags that decide what is offered.
func (o *mcpOptions) register(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.readOnly, "read-only", false, "offer only what changes nothing")
	f.BoolVar(&o.allowChanges, "allow-changes", false, "also offer to pause, resume and branch VMs")
	f.StringSliceVar(&o.tools, "tools", nil, "offer only these: `LIST` of names with commas")
	f.StringVar(&o.root, "root", "", "`FOLDER` that files are pulled into, and nothing is written outside of")
	c.MarkFlagsMutuallyExclusive("read-only", "allow-changes")
}

// folder is the root, absolute.
func (o *mcpOptions) folder() (string, error) {
	root := o.root
	if root == "" {
		home := settings.UserHome()
		if home == "" {
			return "", usageError("there is no home folder to keep files in", "", "name a folder with --root")
		}
		root = filepath.Join(home, "vers-fleet")
	}
	root, err := filepath.Abs(root)
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(root); err == nil && !info.IsDir() {
			err = errors.New("it is no folder")
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil // it is made when something is written to it
		}
	}
	if err != nil {
		return "", usageError("cannot use "+safe.Line(o.root)+" as root", err.Error(), "name a folder with --root")
	}
	return root, nil
}

// server makes the server, which opens the fleet when it is first needed.
func (o *mcpOptions) server(ctx context.Context, env *Env) (*mcpserver.Server, error) {
	if env.flags.wait.set {
		return nil, usageError("mcp does not go with --wait", "a call must not wait for ever", "agents ask fleet_status, and try again")
	}
	root, err := o.folder()
	if err != nil {
		return nil, err
	}
	return mcpserver.New(mcpserver.Options{Version: env.Build.Version, Root: root, ReadOnly: o.readOnly, AllowChanges: o.allowChanges, Tools: o.tools,
		Fleet:    func() (*fleet.Fleet, error) { return env.Fleet(ctx) },
		Describe: describe})
}

func runMCP(ctx context.Context, env *Env, o mcpOptions) error {
	// Nobody is to be asked anything: stdin is the client's, and so is the time.
	env.Streams.Configure(ui.Rules{NoColor: true, NoProgress: true, NoAsking: true, Quiet: env.flags.quiet, Verbose: env.flags.verbose})
	s, err := o.server(ctx, env)
	if err != nil {
		return err
	}
	env.heard = s.Warn
	if err := o.confine(env); err != nil {
		return err
	}
	if o.http != "" {
		return o.serveHTTP(ctx, env, s)
	}
	env.foreign = true // stdout belongs to the client
	return s.Serve(ctx, env.stdin(), nopCloser{env.Streams.Out})
}

// stdin is the client's stream, which can be closed so that a signal ends the wait.
func (e *Env) stdin() io.ReadCloser {
	if rc, ok := e.Streams.In.(io.ReadCloser); ok {
		return rc
	}
	return io.NopCloser(e.Streams.In)
}

// nopCloser is a stream that is not the server's to close.
type nopCloser struct{ io.Writer }

// Close does nothing.
func (nopCloser) Close() error { return nil }

// confine has the kernel hold the server to its root and the profile.
func (o *mcpOptions) confine(env *Env) error {
	root, err := o.folder()
	if err != nil {
		return err
	}
	if o.readOnly {
		return env.confine()
	}
	return env.confine(root)
}

func (o *mcpOptions) serveHTTP(ctx context.Context, env *Env, s *mcpserver.Server) error {
	var h mcpserver.HTTPOptions
	var err error
	if h.Token, err = readToken(o.tokenFile); err != nil {
		return err
	}
	scheme := "http"
	if o.certificate != "" {
		pair, err := tls.LoadX509KeyPair(o.certificate, o.privateKey)
		if err != nil {
			return usageError("cannot use the certificate", err.Error(), "see --tls-cert and --tls-key in: vers-fleet mcp --help")
		}
		h.TLS, scheme = &pair, "https"
	}
	l, err := mcpserver.Listen(ctx, o.http, h)
	if err != nil {
		return err
	}
	env.Streams.Notef("serving MCP at %s://%s; stop with Ctrl-C", scheme, l.Addr())
	return s.ServeHTTP(ctx, l, h)
}

// readToken reads the token from a file that only its owner can read.
func readToken(path string) (string, error) {
	const next = "make one that only you can read: (umask 077; openssl rand -hex 32 > FILE)"
	f, err := os.Open(path)
	if err != nil {
		return "", usageError("cannot read the token", err.Error(), next)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", usageError("others can read the token in "+safe.Line(path), "its mode is "+info.Mode().Perm().String(), "chmod 600 "+safe.Word(path)+", and make a new one")
	}
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", usageError("cannot read the token", err.Error(), next)
	}
	token := strings.TrimSpace(string(data))
	if len(token) < mcpserver.MinToken || strings.ContainsAny(token, " \t\r\n") {
		return "", usageError("the token in "+safe.Line(path)+" is too short, or not one word", "it could be guessed", next)
	}
	return token, nil
}
