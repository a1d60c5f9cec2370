package sshconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/retry"
)

// Stage names the step of a connection's life that failed.
type Stage string

// The stages in the order in which a connection goes through them.
const (
	StageConfig  Stage = "config"   // the target itself is unusable; nothing was dialled
	StageDNS     Stage = "dns"      // looking up the host
	StageTCP     Stage = "tcp"      // connecting
	StageTLS     Stage = "tls"      // TLS handshake, unknown authority
	StageTLSName Stage = "tls_name" // the certificate is for another name
	StageKEX     Stage = "kex"      // SSH version and key exchange
	StageHostKey Stage = "host_key" // the host key is not the pinned one
	StageLogin   Stage = "login"    // user authentication
	StageSession Stage = "session"  // on an established connection
	StageForward Stage = "forward"  // a forwarding's listener
)

// Sentinels found with errors.Is inside an [Error].
var (
	// ErrKeyRefused: the VM's SSH server accepted none of the keys.
	ErrKeyRefused = errors.New("the VM's SSH server refused the key")
	// ErrNoPublicKeyLogin: the server does not offer public-key login.
	ErrNoPublicKeyLogin = errors.New("the VM's SSH server does not offer public-key login")
	// ErrMoreFactors: the key was accepted, but the server asks for more.
	ErrMoreFactors = errors.New("the VM's SSH server accepted the key but asks for a second factor")
	// ErrDead: the peer answered no keep-alive.
	ErrDead = errors.New("the VM stopped answering")
	// errClosed: the connection was closed on this side.
	errClosed = errors.New("connection closed")
	// ErrLost: the connection ended before the session did.
	ErrLost = errors.New("connection to the VM lost")
	// ErrRefused: the server refused a request, such as a subsystem it does not have.
	ErrRefused = errors.New("refused by the VM's SSH server")
	// ErrSessionLimit: the server opens no further session on this connection.
	ErrSessionLimit = errors.New("the VM's SSH server opens no further session on this connection")
	// ErrDisconnected: the user typed the escape for disconnecting.
	ErrDisconnected = errors.New("disconnected by the user")
	// errWrongKind: the endpoint's network is neither "tls" nor "tcp".
	errWrongKind = errors.New("unknown network of an endpoint")
	// errNoEndpoint: the target has no endpoint.
	errNoEndpoint = errors.New("no address to connect to")
	// ErrHungUp: the server closed the connection before the login was done,
	// as a busy sshd does (MaxStartups) and a gateway without its VM.
	ErrHungUp = errors.New("the server closed the connection")
	// errTooLong: the command is longer than Linux lets a shell be given.
	errTooLong = errors.New("the command is too long")
)

// Error says in which stage and at which address something failed. When
// several addresses were tried, it is the one that came furthest, and Others
// has the rest.
type Error struct {
	Stage   Stage
	Address string // host:port, with the IP in brackets where it was looked up
	Err     error
	Timeout bool // the stage's deadline passed
	// NotStarted: the session could not even be opened, so nothing of it
	// reached the VM, and its stdin was not touched.
	NotStarted bool
	Others     []*Error
}

// Error renders the stage, the address, the cause and the other attempts.
func (e *Error) Error() string {
	var b strings.Builder
	e.write(&b)
	for _, o := range e.Others {
		b.WriteString("; ")
		o.write(&b)
	}
	return b.String()
}

func (e *Error) write(b *strings.Builder) {
	b.WriteString(string(e.Stage))
	if e.Address != "" {
		b.WriteString(" " + e.Address)
	}
	if e.Timeout && !errors.As(e.Err, new(*OverdueError)) {
		b.WriteString(": no answer in time")
		return
	}
	if e.Err != nil {
		fmt.Fprintf(b, ": %v", e.Err)
	}
}

// OverdueError says that a dial took longer than all of it may
// ([Timeouts].Whole). The [Error] around it says how far it had come.
type OverdueError struct{ Limit time.Duration }

// Error names the limit.
func (e *OverdueError) Error() string {
	return "the connection was not made within " + e.Limit.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether trying again later, unchanged, may succeed.
// Wrong identities and refused logins do not go away by themselves.
func (e *Error) Transient() bool {
	switch e.Stage {
	case StageDNS, StageTCP:
		return true
	case StageKEX:
		var a *AlgorithmError
		return !errors.As(e.Err, &a)
	case StageTLS, StageLogin:
		return e.Timeout || isNetwork(e.Err)
	case StageSession:
		return errors.Is(e.Err, ErrLost) || errors.Is(e.Err, ErrDead) || errors.Is(e.Err, ErrSessionLimit)
	}
	return false
}

// RetryHint implements retry.Hinter. A failure before the session starts
// never ran anything on the VM.
func (e *Error) RetryHint() retry.Hint {
	return retry.Hint{Transient: e.Transient(), Unsent: e.Stage != StageSession || e.NotStarted}
}

// rank orders errors by how much they tell.
func (e *Error) rank() int {
	order := []Stage{StageConfig, StageDNS, StageTCP, StageTLS, StageKEX, StageTLSName, StageLogin, StageHostKey}
	for i, s := range order {
		if s == e.Stage {
			return i
		}
	}
	return len(order)
}

// newError builds an Error, recognising a passed deadline. A caller's
// cancellation is not a timeout.
func newError(stage Stage, address string, err error) *Error {
	return &Error{Stage: stage, Address: address, Err: err, Timeout: isTimeout(err)}
}

func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func isNetwork(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || isEOF(err) || errors.Is(err, ErrHungUp)
}

// HostKeyError says that the server's host key is not one of the pinned ones,
// or that none is pinned and the target is strict (Want is empty then).
// Nothing was sent to the server but the key exchange.
type HostKeyError struct {
	Want []string // fingerprints
	Got  string   // fingerprint
	Key  string   // the key that was presented, "ssh-ed25519 AAAA..."
}

// Error names the fingerprints.
func (e *HostKeyError) Error() string {
	if len(e.Want) == 0 {
		return fmt.Sprintf("host key %s is not known yet, and unknown ones are refused", e.Got)
	}
	return fmt.Sprintf("host key is %s, recorded was %s", e.Got, strings.Join(e.Want, ", "))
}

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
