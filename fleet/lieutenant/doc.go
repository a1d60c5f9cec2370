// Package lieutenant knows what a lieutenant is: where its name is written down, and how to read what it said and
// tell it something.
//
// It owns two things. Names: the files and answers in which other clients and the registry keep the names of VMs are
// parsed, bytes in, entries out. The event stream: the lieutenant writes JSON lines to a file on its VM and reads
// commands from a FIFO beside it; both are reached with shell commands over a connection that is handed in ([Conn]).
//
// It opens no connection and no local file, and trusts neither: names that could be mistaken for something else are
// refused, what a VM sends is bounded. What it says is handed on as it is: whoever shows it makes it harmless
// with package safe.
//
// # The stream
//
// The file can have many GB, so it is never downloaded: [Stream] asks for its size and reads blocks backwards from
// the end with dd, which seeks (busybox tail does not). A byte offset and the inode name a place in it.
// A line can have hundreds of MB, because an agent_end carries all messages of a run: what a line is stands at its
// beginning, which the VM looks for, and no more of it is fetched. Lines are kept whole up to 4 MiB.
// [Stream.Follow] runs a loop on the VM that sends frames of new bytes with their offset, so that after a lost
// connection it goes on where it stopped; the bytes just before that place are compared, so that a file that was
// truncated or replaced in between is noticed even if it has grown past it.
//
// # Phases and answers
//
// What a lieutenant does is read from the last events backwards, and made in one place (decide): an agent_end says
// little, because a retry may follow it. An answer is what was said from an agent_start to the agent_end that no retry
// follows, without what the agent itself forgot of the tries before. The stream is removed at every start of the agent,
// so older answers come from its session files, which get_state names ([Stream.History], [Join]).
//
// The commands need a POSIX shell (dash, bash, busybox) with dd, head, grep, stat or ls, sleep and, to send, timeout.
// tmux is asked if it is there.
//
// Facts about paths and events come from the extension that starts lieutenants: session pi-rpc,
// /tmp/pi-rpc/{in,out,err}, events agent_start, agent_end, message_update with text_delta, response.
package lieutenant
