// Package sshconn reaches a VM over SSH: it dials (SSH inside TLS with SNI, or
// plain TCP), checks host keys before any login, and carries commands,
// interactive sessions, subsystems and forwardings over the connection.
//
// It is the only client of golang.org/x/crypto/ssh. It never reads or writes
// files of the program's state, never asks the API and never decides what an
// error means to a person: it is handed addresses, keys and pinned host keys
// in a [Target] and reports what happened in typed errors.
//
// Connections to VMs are always direct. Proxy variables (HTTPS_PROXY,
// ALL_PROXY) are for the API; the gateway in front of the VMs is reached as
// OpenSSH would reach it.
//
// Every stage of dialling (DNS, TCP, TLS, key exchange, login) has a deadline
// of its own, several addresses are tried side by side, and all of it together
// has one more. Weak algorithms
// (SHA-1 signatures and MACs, CBC, RC4, small groups) and host certificates
// are not offered.
package sshconn
