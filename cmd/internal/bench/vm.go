package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// vm is one VM, and what each contestant must know to reach it.
type vm struct {
	*sshd.Server
	// Name is the VM's; ServerName is the SNI to send to the gateway.
	Name, ServerName string
	// KeyFile holds the private key that may log in, HostKey the public host key.
	KeyFile, HostKey string
	// CAFile and CAPool hold the authority of the gateway's certificate.
	CAFile string
	CAPool *x509.CertPool
}

// newPlatform starts a simulated platform whose VMs are real sshd. Stock: an
// isolated /tmp could hide the data. A home of their own keeps this machine's
// ~/.bashrc, which may be slow, out of every session; theirs takes bashrc.
func newPlatform(ctx context.Context, dir string, bashrc time.Duration) (*sim.Sim, error) {
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	if bashrc > 0 {
		text := fmt.Sprintf("sleep %g\n", bashrc.Seconds())
		if err := os.WriteFile(filepath.Join(home, ".bashrc"), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return sim.Start(ctx, sim.Config{VMs: vmCount, Dir: filepath.Join(dir, "sim"), Still: true, Guest: sim.GuestSSHD,
		SSHD: sshd.Options{Stock: true, Config: []string{"SetEnv HOME=" + home}}})
}

// newVM starts one VM of the platform.
func newVM(s *sim.Sim, of *sim.VM) (*vm, error) {
	server, err := of.OpenSSH()
	if err != nil {
		return nil, err
	}
	v := &vm{Server: server, Name: of.Name(), ServerName: s.ServerName(of), CAFile: s.CAFile(), CAPool: x509.NewCertPool()}
	key, keyErr := of.PrivateKey()
	hostKey, hostErr := of.HostKey()
	ca, caErr := os.ReadFile(v.CAFile)
	v.HostKey, v.KeyFile = hostKey, filepath.Join(s.Dir(), "key-"+v.Name)
	v.CAPool.AppendCertsFromPEM(ca)
	return v, errors.Join(keyErr, hostErr, caErr, os.WriteFile(v.KeyFile, key, 0o600))
}
