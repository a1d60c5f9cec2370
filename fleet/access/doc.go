// Package access gets connections to VMs from what is recorded: with the
// recorded key it connects at once and asks the API nothing. It pins host keys,
// lends connections to later commands, and says why a VM cannot be reached.
//
// It decides how a VM is reached; the protocol is sshconn's, and what is done
// over a connection is the rooms' above.
package access
