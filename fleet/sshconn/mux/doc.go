// Package mux lets several processes of one user share one connection to a VM.
//
// A process that holds a connection serves it on a Unix socket; others borrow
// it with [Dial] and get a connection with the same methods as one of their
// own. What travels over the socket is the SSH protocol itself: its channels
// bring streams, flow control, exit status and half-close with them.
//
// The socket lies in a folder that only its owner may enter, and both sides
// check on systems that can tell that the other process belongs to the same
// user. The private key never crosses the socket.
//
// A server ends by itself: when nobody has used it for a while, when the
// connection ends, or when the caller's check (such as "is the key still
// recorded?") says so. Starting a process for it is not this package's work.
package mux
