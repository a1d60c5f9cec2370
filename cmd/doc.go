// Package cmd is the command line: one file per subcommand, the tree
// (root.go), the settings (env.go, settings.go, config_file.go, api_key.go)
// and the map from what went wrong to the exit code (exit.go).
//
// A command file has three pieces: newXCommand(env) *cobra.Command, its options
// struct, and runX(ctx, env, opts) error, which parses, calls one method of
// package fleet and prints one value. The package keeps no state of its own;
// everything a command needs is in the Env it is built with.
//
// It never speaks HTTP or SSH, never decides between API and record, and
// never prints except through cmd/ui.
package cmd
