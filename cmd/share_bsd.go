//go:build unix && !linux

package cmd

import "golang.org/x/sys/unix"

// hideMemory keeps this process's memory out of core files.
func hideMemory() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
