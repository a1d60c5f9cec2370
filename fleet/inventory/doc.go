// Package inventory knows which VMs there are and what they are called: the
// API's listing and its record, names from labels, files, the registry and the
// user's own aliases, and the selectors that pick VMs by them.
//
// It records what the API lists and what sources of names say. It never reads a
// private key, never connects to a VM, and never takes a name that fits none or
// several for an answer.
package inventory
