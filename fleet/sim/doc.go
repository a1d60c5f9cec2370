// Package sim is the Vers platform in one process on loopback: the REST API
// with its real paths and error bodies, a gateway that speaks SSH inside TLS
// for every VM, VMs with a file system of their own, lieutenants that talk,
// and faults that are switched while it runs.
//
// It owns the imitation of the platform's behaviour and the content of the
// simulated VMs (package box runs their commands). It never starts a process,
// never opens a path of the host outside its own folder, never listens on
// anything but loopback, and imports nothing of the program it is used to
// test, so that neither can hide a mistake of the other.
package sim
