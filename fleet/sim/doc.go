// Package sim is the Vers platform in one process on loopback: the REST API
// with its real paths and error bodies, a gateway that speaks TLS for every VM,
// lieutenants that talk, and faults that are switched while it runs. Behind it
// are VMs of two kinds: portable ones (package box) and real OpenSSH servers
// (package sshd).
//
// It owns the imitation of the platform's behaviour and the content of the
// simulated VMs. It never listens on anything but loopback, starts no process
// but those of package sshd, opens no path of the host outside its own folder,
// and imports nothing of the program it is used to test, so that neither can
// hide a mistake of the other.
package sim
