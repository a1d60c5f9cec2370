package remote

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Export writes every key, decrypted, and an ssh_config into dir, for plain
// OpenSSH without this program.
func (s *OpenSSH) Export(ctx context.Context, dir string) (int, error) {
	vms, err := s.o.Inventory.Known()
	if err != nil {
		return 0, err
	}
	var ca []byte
	if s.o.CAFile != "" {
		if _, err := s.o.LoadRoots(); err != nil { // says what is wrong with it
			return 0, err
		}
		if ca, err = keystore.ReadFile(s.o.CAFile, maxUserConfig); err != nil {
			return 0, problem.OfStorage("read "+s.o.CAFile, err)
		}
	}
	hosts, findings, err := s.o.Store.ExportSSH(ctx, dir, func(dir string, hosts []keystore.SSHHost) ([]byte, error) {
		copied := "" // so that the folder needs nothing but itself
		if ca != nil {
			copied = filepath.Join(dir, "ca.pem")
			if err := keystore.WriteFile(copied, ca, 0o600); err != nil {
				return nil, err
			}
		}
		return s.exportedConfig(dir, copied, hosts, vms), nil
	})
	for _, x := range findings {
		s.o.Warn(x.What)
	}
	return len(hosts), problem.OfStorage("export the keys", err)
}

// exportedConfig reaches the VMs through openssl, which is the one tool that
// plain OpenSSH needs for TLS. ca is the file with the authorities of the VMs'
// certificates, "" for those that openssl knows by itself.
func (s *OpenSSH) exportedConfig(dir, ca string, hosts []keystore.SSHHost, vms []inventory.VM) []byte {
	all := inventory.NewDirectory(vms)
	var b bytes.Buffer
	for _, h := range hosts {
		vm, ok := all.ByID(h.Record.VMID)
		if !ok {
			vm = inventory.VM{ID: h.Record.VMID}
		}
		name := s.o.Front.HostName(vm.ID)
		fmt.Fprintf(&b, "Host %s\n  HostName %s\n  User root\n  HostKeyAlias %s\n", strings.Join(hostAliases(vm, all), " "), name, name)
		fmt.Fprintf(&b, "  IdentityFile %s\n  IdentitiesOnly yes\n", safe.SSHPath(h.IdentityFile))
		fmt.Fprintf(&b, "  UserKnownHostsFile %s\n", safe.SSHPath(dir+"/known_hosts"))
		proxy := "openssl s_client -quiet -verify_quiet -servername " + name + " -connect " + safe.Word(s.o.Front.Address(vm.ID))
		if s.o.TLSVerify {
			proxy += " -verify_return_error -verify_hostname " + name
		}
		if s.o.TLSVerify && ca != "" {
			proxy += " -CAfile " + safe.Word(ca)
		}
		fmt.Fprintf(&b, "  ProxyCommand %s\n", strings.ReplaceAll(proxy, "%", "%%"))
	}
	return b.Bytes()
}
