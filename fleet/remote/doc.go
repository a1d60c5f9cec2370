// Package remote is what is done on VMs over a connection: shells that may
// outlive it, commands on many VMs, pulling, pushing and watching files, what
// lieutenants say and are told, and the configuration that lets plain OpenSSH
// do the same.
//
// It keeps what lieutenants said and did when they were asked last, for the day
// they cannot be.
//
// It connects through access alone and asks the API nothing; protocols and
// files are the leaves', and whatever a VM says is a claim.
package remote
