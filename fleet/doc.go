// Package fleet is what a person means when they say "my VMs": a Fleet knows
// them by name, lists them, opens shells, runs commands, brings their files
// home and snapshots them, with the REST API or without it.
//
// It owns the one offline rule (offline.go): ask the API first, fall back to
// what was recorded only when the API is unreachable, and say which of the two
// an answer came from and when it was true. It owns the resolution of
// selectors to VMs, the commit journal, and the wording of every failure: what
// leaves this package is an *Error.
//
// It never speaks HTTP or SSH itself (fleet/api, fleet/sshconn), never writes a
// file itself (keystore, fleet/transfer), and never prints.
package fleet
