// Package executable writes programs, such as scripts, that this process is going to
// run: the one way to do so in the simulator and in tests. It owns no process and
// knows nothing of what is in them.
package executable
