// Package private makes sockets that nobody but this user reaches: they lie in a
// folder of mode 0700, and who connects is asked for their user id. It owns where
// such sockets lie, and that of several processes one takes over a dead one. It
// knows nothing of what is said over them.
package private
