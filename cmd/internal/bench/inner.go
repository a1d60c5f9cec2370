package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"net"
	"os"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// These words make this program a contestant itself.
const (
	// walkCommand copies a folder the way the official Vers CLI does, one file
	// after the other over one SFTP session.
	walkCommand = "walk-sftp"
	// loginCommand runs "true" with nothing around it: what the protocols cost.
	loginCommand = "bare-login"
)

type innerOptions struct {
	gateway, name, ca, user, key, hostKey, from, to string
}

// innerArgs is the command line of an inner contestant for one VM.
func innerArgs(command string, way *road, vm *vm) []string {
	return []string{
		command, "-gateway", way.gateway, "-name", vm.ServerName, "-ca", vm.CAFile,
		"-user", vm.User, "-key", vm.KeyFile, "-hostkey", vm.HostKey,
	}
}

// inner runs this program as a contestant.
func inner(ctx context.Context, args []string) error {
	var o innerOptions
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.StringVar(&o.gateway, "gateway", "", "host:port")
	f.StringVar(&o.name, "name", "", "TLS server name")
	f.StringVar(&o.ca, "ca", "", "CA file")
	f.StringVar(&o.user, "user", "", "account")
	f.StringVar(&o.key, "key", "", "private key file")
	f.StringVar(&o.hostKey, "hostkey", "", "host key line")
	f.StringVar(&o.from, "from", "", "remote folder")
	f.StringVar(&o.to, "to", "", "local folder")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	client, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if args[0] == loginCommand {
		session, err := client.NewSession()
		if err != nil {
			return err
		}
		return session.Run("true")
	}
	session, err := sftp.NewClient(client)
	if err != nil {
		return err
	}
	defer session.Close()
	return o.walk(session)
}

func (o innerOptions) connect(ctx context.Context) (*ssh.Client, error) {
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(o.ca)
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		return nil, errors.Join(errors.New("no usable CA file"), err)
	}
	raw, err := os.ReadFile(o.key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		return nil, err
	}
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(o.hostKey))
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	plain, err := d.DialContext(ctx, "tcp", o.gateway)
	if err != nil {
		return nil, err
	}
	outer := tls.Client(plain, &tls.Config{RootCAs: pool, ServerName: o.name, MinVersion: tls.VersionTLS13})
	conn, channels, requests, err := ssh.NewClientConn(outer, o.name, &ssh.ClientConfig{
		User: o.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(hostKey),
	})
	if err != nil {
		return nil, errors.Join(err, outer.Close())
	}
	return ssh.NewClient(conn, channels, requests), nil
}
