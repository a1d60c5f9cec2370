package sshconn

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Networks of an [Endpoint].
const (
	NetworkTLS = "tls" // SSH inside TLS
	NetworkTCP = "tcp" // SSH directly on TCP
)

// Endpoint is one way to reach a VM's SSH server.
type Endpoint struct {
	Network string   // NetworkTLS or NetworkTCP
	Address string   // host:port, as dialled
	IPs     []string // addresses of the host seen earlier, used when DNS is down or slow
}

// spare orders endpoints: those without TLS wait for those with it.
func (e Endpoint) spare() int {
	if e.Network == NetworkTLS {
		return 0
	}
	return 1
}

// Target is a VM to connect to. Endpoints are tried side by side, the first
// one with a head start; those without TLS only when those with it fail or
// take long.
type Target struct {
	VMID       string
	Name       string // what a person calls the VM; only for messages
	User       string // login name; empty means root
	ServerName string // SNI and the name the certificate must have; empty means the endpoint's host
	Endpoints  []Endpoint
	Keys       [][]byte // private keys in PEM form, offered in this order
	HostKeys   []string // pinned host keys, "ssh-ed25519 AAAA..."; empty means first contact
	Strict     bool     // refuse a first contact
}

// label is how messages name the VM.
func (t Target) label() string {
	switch {
	case t.Name != "":
		return t.Name
	case t.VMID != "":
		return t.VMID
	case len(t.Endpoints) > 0:
		return t.Endpoints[0].Address
	}
	return "VM"
}

// Timeouts are the deadlines of one dial and of the stages of one connection. A
// zero field takes the default: Whole 30 s, DNS 4 s, TCP 6 s, TLS 6 s, KEX 10 s,
// Login 20 s, Answer 30 s.
type Timeouts struct {
	// Whole is for all of a dial: each address, each stage. Without it a VM with
	// eight addresses that say a byte now and then holds a caller for minutes.
	Whole time.Duration

	DNS   time.Duration
	TCP   time.Duration
	TLS   time.Duration
	KEX   time.Duration // from the connection's start to the checked host key
	Login time.Duration

	// Answer is for the server's answer when a session is opened or something
	// asked for in it. More is granted only while much data arrives.
	Answer time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.Whole, 30*time.Second)
	set(&t.DNS, 4*time.Second)
	set(&t.TCP, 6*time.Second)
	set(&t.TLS, 6*time.Second)
	set(&t.KEX, 10*time.Second)
	set(&t.Login, 20*time.Second)
	set(&t.Answer, 30*time.Second)
	return t
}

// Dialer makes connections. The zero value works, without keep-alives and
// with the system's certificate roots. It may be used from several goroutines
// as long as its fields do not change.
type Dialer struct {
	RootCAs            *x509.CertPool                 // nil means the system's roots
	Roots              func() (*x509.CertPool, error) // if not nil, further roots, which are tried first
	InsecureSkipVerify bool                           // accept any certificate; every use is logged
	Timeouts           Timeouts
	KeepAlive          time.Duration // between probes of an idle connection; 0 means none
	Logf               func(format string, args ...any)

	// Banner is handed what the server wants shown before the login (RFC 4252
	// section 5.4), with what a terminal acts on made visible; nil drops it.
	Banner func(text string)

	// After is the clock of Timeouts.Whole; nil means time.After.
	After func(time.Duration) <-chan time.Time

	lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil means the system's resolver
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

func (d *Dialer) logf(format string, args ...any) {
	if d.Logf != nil {
		d.Logf(format, args...)
	}
}

// StageTime says how long a stage of dialling took.
type StageTime struct {
	Stage Stage
	Took  time.Duration
}

// Info describes an established connection.
type Info struct {
	Endpoint     Endpoint // the one that worked; IPs holds just the address used
	HostKey      string   // "ssh-ed25519 AAAA..."
	Fingerprint  string   // of HostKey, "SHA256:..."
	FirstContact bool     // no host key was pinned, so HostKey is unconfirmed
	KeyIndex     int      // index in Target.Keys of the key that logged in
	PublicKey    string   // its public half, "ssh-ed25519 AAAA..."
	Server       string   // the server's version line
	Banner       string   // what the server said before the login, made harmless
	Stages       []StageTime
}

// String tells where the connection leads and how long each stage took.
func (i Info) String() string {
	s := fmt.Sprintf("%s (%s), %q, host key %s", i.Endpoint.Address, strings.Join(i.Endpoint.IPs, " "), i.Server, i.Fingerprint)
	for _, t := range i.Stages {
		s += fmt.Sprintf(", %s %s", t.Stage, t.Took.Round(100*time.Microsecond))
	}
	return s
}
