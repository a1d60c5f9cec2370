package sshconn

import "fmt"

// ExitError says that a remote command did not end with status 0.
type ExitError struct {
	Status int    // the command's status; 128+n when a signal ended it; -1 when the server sent none
	Signal string // without SIG, e.g. "KILL"; empty when it exited by itself
}

// Error names the status or signal.
func (e *ExitError) Error() string {
	switch {
	case e.Signal != "":
		return fmt.Sprintf("command ended by signal %q", e.Signal)
	case e.Status < 0:
		return "command ended without an exit status"
	}
	return fmt.Sprintf("command exited with status %d", e.Status)
}

// ExitStatus is the status a shell would see: Status, or 255 when the server
// sent none, as OpenSSH's client does.
func (e *ExitError) ExitStatus() int {
	if e.Status < 0 || e.Status > 255 {
		return 255
	}
	return e.Status
}

// signalNumber is the number of a signal that RFC 4254 section 6.10 names, or
// 0. Numbers are Linux's, which is what runs on the VM.
func signalNumber(name string) int {
	switch name {
	case "HUP":
		return 1
	case "INT":
		return 2
	case "QUIT":
		return 3
	case "ILL":
		return 4
	case "TRAP":
		return 5
	case "ABRT":
		return 6
	case "FPE":
		return 8
	case "KILL":
		return 9
	case "USR1":
		return 10
	case "SEGV":
		return 11
	case "USR2":
		return 12
	case "PIPE":
		return 13
	case "ALRM":
		return 14
	case "TERM":
		return 15
	}
	return 0
}
