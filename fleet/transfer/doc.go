// Package transfer moves files between this machine and a VM over an open
// connection that it is handed.
//
// A pull is a listing (one command tells what is on the VM), a plan (what is
// missing or differs here), a transfer (streams of tar, ranges of large files,
// SFTP where there is nothing else) and a verification (SHA-256 computed on the
// VM against what was written here). Files arrive in a folder of their own inside
// the destination (".vers-fleet-partial-..."), are checked, and renamed: a
// final name is absent, old or right at every moment. A killed pull leaves that
// folder behind and the next one goes on from it. A push is the same the other
// way round.
//
// It owns what is done when, and how the work is shared by connections. Below it
// stand three rooms of its own: session (one command on the VM), listing (what
// the VM says is there) and dest (the only writer of names that the VM chose).
//
// The VM is not trusted. Whatever it sends is held against what was asked for;
// each thing refused becomes a FileError and never stops the rest. Names reach
// the VM by stdin, never inside a command line: every command is a constant, so
// remote globs are not expanded. Nothing here dials, prints, or knows of keys and
// the API.
package transfer
