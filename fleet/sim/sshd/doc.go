// Package sshd is a VM that is a real OpenSSH server on loopback, so that
// tests, benchmarks and rehearsals meet the server that real VMs run. The
// platform around it (API, gateway, keys, faults) is package sim's.
//
// It owns the sshd process: its configuration, its home and /tmp, what is
// killed when the VM is. It never touches the accounts, keys or configuration
// of the machine it runs on. As root on Linux each server runs in namespaces of
// its own, where /root and /tmp are folders of that server, processes are its
// own and die with it; elsewhere sessions start in such a folder through a
// forced command. Everything else that a session sees is the machine itself:
// this is no sandbox. It imports nothing of ours.
package sshd
