// Package session runs commands on a VM and tells what became of them: a
// command that failed, an answer that makes no sense, a connection that dropped.
//
// It owns what every command needs: the marker after which the answer begins
// (whatever a .bashrc prints comes before it), names and numbers on stdin and
// never in a command's text, the watch over a VM that stops answering, the limit
// of sessions per connection, and text of the VM made fit for a message. It never
// dials, and knows nothing of files, listings or what the commands mean.
package session
