package simtest

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// Start runs a platform until the test ends.
func Start(t testing.TB, cfg sim.Config) *sim.Sim {
	t.Helper()
	s, err := sim.Start(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		Missing(t, err)
		t.Fatalf("starting the simulator: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("ending the simulator: %v", err)
		}
	})
	return s
}

// Guest is the kind of VM for tests that work on both: a portable one, unless
// VERS_FLEET_TEST_VMS says sshd.
func Guest() sim.Guest { return sim.Guest(os.Getenv("VERS_FLEET_TEST_VMS")) }

// Missing skips the test if err says that the machine cannot have what the test
// needs. A program that could be installed must be there under CI=true. Other
// errors are left to the caller.
func Missing(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, sshd.ErrNotLinux) || errors.Is(err, sshd.ErrNotRoot) {
		t.Skipf("left out: %v", err)
	}
	for _, lack := range []error{sshd.ErrMissing, sshd.ErrNoBusybox, sshd.ErrNoSFTPServer} {
		if !errors.Is(err, lack) {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true needs it: %v", err)
		}
		t.Skipf("left out: %v", err)
	}
}

// OpenSSH is a VM that is a real sshd, on a platform of its own, with all that
// a client must know to reach it.
type OpenSSH struct {
	*sshd.Server
	Sim *sim.Sim
	VM  *sim.VM
	// TLSAddr is the gateway's address; ServerName is the SNI to send there.
	TLSAddr, ServerName string
	// VMID is a lower-case UUID.
	VMID string
	// ClientKey is the OpenSSH PEM of the key that may log in.
	ClientKey []byte
	// CAPool holds the authority that signed the gateway's certificate.
	CAPool *x509.CertPool
}

// StartOpenSSH runs a real sshd until the test ends, isolated if that can be
// had. The end of its log is shown if the test fails.
func StartOpenSSH(t testing.TB, o sshd.Options) *OpenSSH {
	t.Helper()
	o.Shared = true
	s := Start(t, sim.Config{Guest: sim.GuestSSHD, SSHD: o, Still: true})
	v := &OpenSSH{Sim: s, VM: s.VM(sim.MarketingID), VMID: sim.MarketingID, TLSAddr: s.Gateway(), CAPool: x509.NewCertPool()}
	v.ServerName = s.ServerName(v.VM)
	var err error
	if v.Server, err = v.VM.OpenSSH(); err != nil {
		Missing(t, err)
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.CAFile())
	if err != nil || !v.CAPool.AppendCertsFromPEM(ca) {
		t.Fatalf("no usable CA file: %v", err)
	}
	if v.ClientKey, err = v.VM.PrivateKey(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log := v.Log(); t.Failed() {
			t.Logf("end of sshd's log:\n%s", log[max(len(log)-4000, 0):])
		}
	})
	return v
}

// Logins counts the logins so far.
func (v *OpenSSH) Logins() int { return v.VM.Logins() }

// HostKey returns the VM's host key as "type base64".
func (v *OpenSSH) HostKey() string { return v.HostKeys()[0] }

// HostKeys returns every host key as "type base64"; the first is the platform's.
func (v *OpenSSH) HostKeys() []string {
	keys, err := v.Server.HostKeys()
	if err != nil {
		return []string{"unusable: " + err.Error()}
	}
	return keys
}
