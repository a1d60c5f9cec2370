package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn/mux"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Finding is one thing that is not as it should be with the keystore.
type Finding struct {
	keystore.Finding
	Name string `json:"name,omitempty"`
}

// CheckKeys reads everything recorded and says what is wrong with it, VMs
// without a key included. The error is of kind Storage when something is lost
// or damaged.
func (f *Fleet) CheckKeys() ([]Finding, error) {
	findings, err := f.keys.Check()
	if err != nil {
		return nil, problem.OfStorage("check the keystore", err)
	}
	vms, err := f.Inventory.Known()
	if err != nil {
		return nil, err
	}
	all := inventory.NewDirectory(vms)
	out := []Finding{}
	bad := 0
	for _, x := range findings {
		if x.Severity == keystore.SeverityError {
			bad++
		}
		vm, _ := all.ByID(x.VMID)
		out = append(out, Finding{Finding: x, Name: vm.Name})
	}
	for _, vm := range vms {
		if !f.keys.HasKey(vm.ID) {
			out = append(out, Finding{Name: vm.Name, Finding: keystore.Finding{Severity: keystore.SeverityWarning, VMID: vm.ID,
				Kind: keystore.KindNotFound, What: "no key is recorded", Next: "vers-fleet keys sync"}})
		}
	}
	if bad > 0 {
		return out, &problem.Error{Kind: problem.Storage, What: "damaged or lost in the keystore: " + problem.Counted(bad, "thing"), Origin: problem.OriginLocal,
			Why: "see the list", Next: "vers-fleet keys sync fetches keys again while the API is up"}
	}
	return out, nil
}

// RemoveKeys forgets VMs, their keys included, after asking.
func (f *Fleet) RemoveKeys(ctx context.Context, names []string, sure bool) ([]string, error) {
	known, err := f.Inventory.Known()
	if err != nil {
		return nil, err
	}
	vms, err := inventory.Choose(known, inventory.Selection{Names: names})
	if err != nil {
		return nil, err
	}
	var titles []string
	for _, vm := range vms {
		titles = append(titles, vm.Title())
	}
	if err := f.confirm(sure, "Forget the keys of "+strings.Join(titles, ", ")+"? They cannot be fetched while the API is down."); err != nil {
		return nil, err
	}
	var removed []string
	for _, vm := range vms {
		if err := f.keys.Remove(vm.ID); err != nil {
			return removed, problem.OfStorage("forget "+vm.Title(), err)
		}
		removed = append(removed, vm.ID)
		mux.Served(f.shareSocket(vm.ID)) // being asked, the process sees that the key is gone
	}
	return removed, nil
}

// PruneKeys forgets VMs that the API has not listed for longer than age, after
// asking.
func (f *Fleet) PruneKeys(ctx context.Context, age time.Duration, sure bool) ([]string, error) {
	if err := f.confirm(sure, fmt.Sprintf("Forget the keys of VMs that the API has not listed for %s?", age)); err != nil {
		return nil, err
	}
	removed, err := f.keys.Prune(age)
	return removed, problem.OfStorage("prune the keystore", err)
}

func (f *Fleet) confirm(sure bool, question string) error {
	switch {
	case sure:
		return nil
	case f.o.Confirm == nil:
		return &problem.Error{Kind: problem.Usage, What: "not done without a confirmation", Origin: problem.OriginLocal, Next: "add --yes"}
	}
	return f.o.Confirm(question)
}

// ExportKeys writes keys, host keys, inventory and names to w as one bundle,
// encrypted to recipients or with a passphrase.
func (f *Fleet) ExportKeys(ctx context.Context, w io.Writer, o keystore.ExportOptions) (keystore.ExportSummary, error) {
	if data, err := f.keys.Doc(inventory.NamesDoc).Read(); err == nil {
		o.Docs = map[string][]byte{inventory.NamesDoc: data}
	}
	sum, err := f.keys.Export(ctx, w, o)
	return sum, problem.OfStorage("export the keys", err)
}

// ImportKeys merges a bundle, never overwriting something newer, and says what
// it did, or would do.
func (f *Fleet) ImportKeys(ctx context.Context, r io.Reader, identityFile string, dryRun bool) (keystore.Plan, error) {
	var names []byte
	plan, err := f.keys.Import(ctx, r, keystore.ImportOptions{DryRun: dryRun, IdentityFile: identityFile,
		Doc: func(name string, data []byte, dryRun bool) (keystore.Action, error) {
			if name == inventory.NamesDoc {
				names = data
			}
			return f.Inventory.ImportDoc(ctx, name, data, dryRun)
		}})
	f.Inventory.NamePlan(plan, names)
	return plan, problem.OfStorage("import the bundle", err)
}

// ExportSSH writes every key, decrypted, and an ssh_config into dir, for plain
// OpenSSH without this program.
func (f *Fleet) ExportSSH(ctx context.Context, dir string) (int, error) {
	vms, err := f.Inventory.Known()
	if err != nil {
		return 0, err
	}
	var ca []byte
	if f.o.CAFile != "" {
		if _, err := f.o.LoadRoots(); err != nil { // says what is wrong with it
			return 0, err
		}
		if ca, err = os.ReadFile(f.o.CAFile); err != nil {
			return 0, problem.OfStorage("read "+f.o.CAFile, err)
		}
	}
	hosts, findings, err := f.keys.ExportSSH(ctx, dir, func(dir string, hosts []keystore.SSHHost) ([]byte, error) {
		copied := "" // so that the folder needs nothing but itself
		if ca != nil {
			copied = filepath.Join(dir, "ca.pem")
			if err := keystore.WriteFile(copied, ca, 0o600); err != nil {
				return nil, err
			}
		}
		return f.exportedConfig(dir, copied, hosts, vms), nil
	})
	for _, x := range findings {
		f.o.Warn(x.What)
	}
	return len(hosts), problem.OfStorage("export the keys", err)
}

// exportedConfig reaches the VMs through openssl, which is the one tool that
// plain OpenSSH needs for TLS. ca is the file with the authorities of the VMs'
// certificates, "" for those that openssl knows by itself.
func (f *Fleet) exportedConfig(dir, ca string, hosts []keystore.SSHHost, vms []inventory.VM) []byte {
	all := inventory.NewDirectory(vms)
	var b bytes.Buffer
	for _, h := range hosts {
		vm, ok := all.ByID(h.Record.VMID)
		if !ok {
			vm = inventory.VM{ID: h.Record.VMID}
		}
		name := f.front.HostName(vm.ID)
		fmt.Fprintf(&b, "Host %s\n  HostName %s\n  User root\n  HostKeyAlias %s\n", strings.Join(hostAliases(vm, all), " "), name, name)
		fmt.Fprintf(&b, "  IdentityFile %s\n  IdentitiesOnly yes\n", safe.SSHPath(h.IdentityFile))
		fmt.Fprintf(&b, "  UserKnownHostsFile %s\n", safe.SSHPath(dir+"/known_hosts"))
		proxy := "openssl s_client -quiet -verify_quiet -servername " + name + " -connect " + safe.Word(f.front.Address(vm.ID))
		if f.o.TLSVerify {
			proxy += " -verify_return_error -verify_hostname " + name
		}
		if f.o.TLSVerify && ca != "" {
			proxy += " -CAfile " + safe.Word(ca)
		}
		fmt.Fprintf(&b, "  ProxyCommand %s\n", strings.ReplaceAll(proxy, "%", "%%"))
	}
	return b.Bytes()
}

// EncryptKeys, DecryptKeys and RekeyKeys change how keys are kept on disk.
func (f *Fleet) EncryptKeys(ctx context.Context, o keystore.EncryptOptions) error {
	return problem.OfStorage("encrypt the keystore", f.keys.Encrypt(ctx, o))
}

// DecryptKeys turns the keystore back into plain files.
func (f *Fleet) DecryptKeys(ctx context.Context, progress func(done, total int)) error {
	err := f.keys.Decrypt(ctx, progress)
	if err == nil && f.o.Keystore.Keyring {
		if err := f.keys.RemoveFromKeyring(); err != nil {
			f.o.Warn("the keyring still holds the old identity, which opens nothing any more: " + err.Error())
		}
	}
	return problem.OfStorage("decrypt the keystore", err)
}

// RekeyKeys encrypts every key anew, to other recipients.
func (f *Fleet) RekeyKeys(ctx context.Context, o keystore.EncryptOptions) error {
	return problem.OfStorage("rekey the keystore", f.keys.Rekey(ctx, o))
}

// KeysToKeyring lets the operating system's keyring unlock a keystore with a
// passphrase, for scripts.
func (f *Fleet) KeysToKeyring() error {
	return problem.OfStorage("put the keystore's identity into the keyring", f.keys.SaveToKeyring())
}
