// Package daemon knows what happens to the fleet while nobody looks.
//
// It owns the daemon: loops that ask what the rooms already answer, each at its
// own pace and in a goroutine of its own, with a deadline for each turn; the
// mirror of the work; and the socket at which the daemon says how it is. There is
// one for each profile, by a lock.
//
// It owns the events: what counts as one, the ring on disk that all processes of
// a profile share, and waiting for one. An event is the difference between what
// was observed last and what is observed now. Both are kept in one document that
// is replaced whole, so that a process which dies at any moment neither loses an
// event nor tells it twice, however many processes observe.
//
// It asks the rooms below it (outage, inventory, remote) and observes what they
// answer. It never speaks HTTP or SSH itself, and never changes a VM.
package daemon
