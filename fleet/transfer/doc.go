// Package transfer moves files between this machine and a VM over an open
// connection that it is handed.
//
// A pull is a manifest (one command lists what is on the VM), a plan (what is
// missing or differs here), a transfer (streams of tar, ranges of large files,
// SFTP where there is nothing else) and a verification (SHA-256 computed on the
// VM against what was written here). Files arrive in a folder of their own inside
// the destination (".vers-fleet-partial-..."), are checked, and renamed: a
// final name is absent, old or right at every moment. A killed pull leaves that
// folder behind and the next one goes on from it.
//
// The VM is not trusted. Whatever it sends is held against what was asked for;
// only package dest writes names that it chose; each thing refused becomes a
// FileError and never stops the rest.
//
// Names reach the VM by stdin, separated by NUL, never inside a command line:
// every command text is a constant (scripts.go). Remote globs are therefore not
// expanded. Only pkg/sftp and archive/tar are used here, and nothing here
// dials, prints or knows of keys and the API.
package transfer
