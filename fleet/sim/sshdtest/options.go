package sshdtest

import (
	"errors"
	"io"
)

// ErrMissing says that the machine has no OpenSSH server to start.
var ErrMissing = errors.New("no OpenSSH sshd found (Debian: apt-get install openssh-server)")

// ErrNoBusybox says that ForceBusybox was asked for and busybox is missing.
var ErrNoBusybox = errors.New("no busybox found (Debian: apt-get install busybox)")

// ErrNoSFTPServer says that the stand-alone sftp-server program is missing.
var ErrNoSFTPServer = errors.New("no sftp-server program found (Debian: apt-get install openssh-sftp-server)")

// SFTP chooses how a server answers a request for the sftp subsystem.
type SFTP int

const (
	// SFTPInternal is sshd's own internal-sftp.
	SFTPInternal SFTP = iota
	// SFTPExternal is the stand-alone sftp-server program.
	SFTPExternal
	// SFTPNone offers no sftp subsystem at all, as minimal images do.
	SFTPNone
)

// Options describes one server. The zero value is a stock sshd with one
// ed25519 host key and a fresh, empty home.
type Options struct {
	// Dir keeps the server's files; empty makes one that Stop removes. Its
	// path must not be /tmp itself.
	Dir string
	// Home is the host folder that sessions see as their home; empty makes a
	// fresh one under Dir.
	Home string
	// Stock starts sessions in the account's real home, with nothing isolated
	// or forced: for measurements.
	Stock bool
	// SFTP is the kind of sftp subsystem offered.
	SFTP SFTP
	// ForceBusybox leaves sessions only busybox applets in PATH.
	ForceBusybox bool
	// MaxStartups is sshd's setting of that name, such as "2:100:2"; empty is
	// sshd's default, 10:30:100.
	MaxStartups string
	// MaxSessions limits channels per connection; 0 is sshd's default, 10.
	MaxSessions int
	// HostKeys lists key types: ed25519, ecdsa, rsa. Empty is ed25519 alone.
	HostKeys []string
	// ExtraConfig lines are put first into sshd_config, where they win.
	ExtraConfig []string
	// VMID and Name identify the VM; empty VMID makes a random one.
	VMID, Name string
	// Gateway fronts this server too, beside others; nil starts one of its own.
	Gateway *Gateway
	// LogLevel is sshd's; empty is VERBOSE.
	LogLevel string
	// LogTo receives a line when something about the set-up is worth saying.
	LogTo io.Writer
}
