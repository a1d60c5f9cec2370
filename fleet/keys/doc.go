// Package keys has the private keys of VMs: it fetches them while the API
// answers, so that they are there when it does not, and lists, checks, adopts,
// exports, imports, encrypts and removes them.
//
// It decides when a key is asked for and which are tried; how they lie on disk
// is the keystore's. It never connects to a VM and never prints a key.
package keys
