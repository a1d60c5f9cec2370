// Package sshdtest starts real OpenSSH servers on loopback, behind a TLS 1.3
// gateway that routes by SNI as the platform's own gateway does, so that tests
// and benchmarks meet the server that real VMs run and not only the simulator.
//
// It owns: one sshd process per virtual machine ([Start], [Launch]), the TLS
// gateway ([Gateway]), a handful of API answers that hand out the VMs' keys
// ([API]), and all of them wired together ([StartFleet], [LaunchFleet]).
//
// It never touches the accounts, keys or configuration of the machine it runs
// on. As root on Linux each sshd runs in a mount namespace of its own, where
// /root and /tmp are folders of that server; elsewhere sessions start in such a
// folder through a forced command. Nothing here imports other rooms.
package sshdtest
