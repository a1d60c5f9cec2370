// Package box is a portable VM: a file system confined to one folder (os.Root),
// a shell (mvdan.cc/sh/v3/interp) of which every handler is replaced, the
// commands that this project's scripts and stories need as Go functions, and an
// SSH server with SFTP and terminals in front of them. The commands are held
// against the real ones by a test.
//
// It never starts a process, never opens, lists or stats a path outside its
// folder, and never connects anywhere. A command it does not have, or cannot
// confine, is refused with "not available in the simulator" and status 127; a
// flag it does not know is a usage error, never ignored.
//
// It is made for rehearsals by the machine's own user: it keeps commands from
// touching the machine by mistake, and bounds disk, recursion and captured
// output; it is no defence against code that wants to use up CPU or memory.
package box
