package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Finding is one thing that is not as it should be with the keystore.
type Finding struct {
	keystore.Finding
	Name string `json:"name,omitempty"`
}

// Check reads everything recorded and says what is wrong with it, VMs
// without a key included. The error is of kind Storage when something is lost
// or damaged.
func (ks *Keys) Check() ([]Finding, error) {
	findings, err := ks.keys.Check()
	if err != nil {
		return nil, problem.OfStorage("check the keystore", err)
	}
	vms, err := ks.inv.Known()
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
		if !ks.keys.HasKey(vm.ID) {
			out = append(out, Finding{Name: vm.Name, Finding: keystore.Finding{Severity: keystore.SeverityWarning, VMID: vm.ID,
				Kind: keystore.KindNotFound, What: "no key is recorded", Next: "vers-fleet keys sync"}})
		}
	}
	shared, err := ks.shared(all)
	if err != nil {
		return nil, err
	}
	out = append(out, shared...)
	if bad > 0 {
		return out, &problem.Error{Kind: problem.Storage, What: "damaged or lost in the keystore: " + problem.Counted(bad, "thing"), Origin: problem.OriginLocal,
			Why: "see the list", Next: "vers-fleet keys sync fetches keys again while the API is up"}
	}
	return out, nil
}

// shared tells which VMs have one and the same key: VMs made from one image may
// (docs/platform.md), and then whoever has it gets into all of them.
func (ks *Keys) shared(all *inventory.Directory) ([]Finding, error) {
	records, _, err := ks.keys.Records()
	if err != nil {
		return nil, problem.OfStorage("read the keystore", err)
	}
	sharing := map[string][]inventory.VM{}
	for _, r := range records {
		if r.HasKey() && r.GoneAt.IsZero() {
			vm, known := all.ByID(r.VMID)
			if !known {
				vm.ID = r.VMID
			}
			sharing[r.PublicKey] = append(sharing[r.PublicKey], vm)
		}
	}
	out := []Finding{}
	for _, key := range slices.Sorted(maps.Keys(sharing)) {
		vms := sharing[key]
		slices.SortFunc(vms, func(a, b inventory.VM) int { return strings.Compare(a.Title(), b.Title()) })
		var others []string
		for _, vm := range vms[1:] {
			others = append(others, vm.Title())
		}
		if len(others) > 0 {
			out = append(out, Finding{Name: vms[0].Name, Finding: keystore.Finding{Severity: keystore.SeverityInfo, VMID: vms[0].ID,
				What: "its key is also that of " + strings.Join(others, ", ")}})
		}
	}
	return out, nil
}

// Remove forgets VMs, their keys included, after asking.
func (ks *Keys) Remove(names []string, sure bool) ([]string, error) {
	known, err := ks.inv.Known()
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
	if err := ks.confirm(sure, "Forget the keys of "+strings.Join(titles, ", ")+"? They cannot be fetched while the API is down."); err != nil {
		return nil, err
	}
	var removed []string
	for _, vm := range vms {
		if err := ks.keys.Remove(vm.ID); err != nil {
			return removed, problem.OfStorage("forget "+vm.Title(), err)
		}
		removed = append(removed, vm.ID)
		ks.o.OnRemove(vm.ID)
	}
	return removed, nil
}

// Prune forgets VMs that the API has not listed for longer than age, after
// asking.
func (ks *Keys) Prune(age time.Duration, sure bool) ([]string, error) {
	if err := ks.confirm(sure, fmt.Sprintf("Forget the keys of VMs that the API has not listed for %s?", age)); err != nil {
		return nil, err
	}
	removed, err := ks.keys.Prune(age)
	return removed, problem.OfStorage("prune the keystore", err)
}

func (ks *Keys) confirm(sure bool, question string) error {
	switch {
	case sure:
		return nil
	case ks.o.Confirm == nil:
		return &problem.Error{Kind: problem.Usage, What: "not done without a confirmation", Origin: problem.OriginLocal, Next: "add --yes"}
	}
	return ks.o.Confirm(question)
}

// Export writes keys, host keys, inventory and names to w as one bundle,
// encrypted to recipients or with a passphrase.
func (ks *Keys) Export(ctx context.Context, w io.Writer, o keystore.ExportOptions) (keystore.ExportSummary, error) {
	if data, err := ks.keys.Doc(inventory.NamesDoc).Read(); err == nil {
		o.Docs = map[string][]byte{inventory.NamesDoc: data}
	}
	sum, err := ks.keys.Export(ctx, w, o)
	return sum, problem.OfStorage("export the keys", err)
}

// OpenBundle opens a bundle for Import. Errors are of kind NotFound or Usage.
func (ks *Keys) OpenBundle(path string) (io.ReadCloser, error) {
	f, err := keystore.OpenFile(path)
	if err == nil {
		return f, nil
	}
	e := &problem.Error{Kind: problem.NotFound, What: "cannot read the bundle " + path, Why: problem.Cause(err), Origin: problem.OriginLocal, Err: err}
	if !errors.Is(err, fs.ErrNotExist) {
		e.Kind, e.Next = problem.Usage, "make it a readable file, or pipe it in: vers-fleet keys import -"
	}
	return nil, e
}

// ImportOptions says how a bundle is merged.
type ImportOptions struct {
	IdentityFile string // opens the bundle; "" tries what unlocks the store
	DryRun       bool
	Names        bool // the user agrees to the names it brings
}

// Import merges a bundle, never overwriting something newer, and says what
// it did, or would do. Names it brings are taken over only if the user agrees,
// and never change what a name means here.
func (ks *Keys) Import(ctx context.Context, r io.Reader, o ImportOptions) (keystore.Plan, error) {
	claims, err := ks.inv.Claims(o.Names)
	if err != nil {
		return keystore.Plan{}, err
	}
	plan, err := ks.keys.Import(ctx, r, keystore.ImportOptions{DryRun: o.DryRun, IdentityFile: o.IdentityFile, VetVM: claims.VM,
		Doc: func(name string, data []byte, dryRun bool) ([]keystore.PlanItem, error) {
			return claims.Doc(ctx, name, data, dryRun)
		}})
	claims.Plan(plan)
	return plan, problem.OfStorage("import the bundle", err)
}

// Encrypt makes the keys on disk readable for their recipients only.
func (ks *Keys) Encrypt(ctx context.Context, o keystore.EncryptOptions) error {
	return problem.OfStorage("encrypt the keystore", ks.keys.Encrypt(ctx, o))
}

// Decrypt turns the keystore back into plain files.
func (ks *Keys) Decrypt(ctx context.Context, progress func(done, total int)) error {
	err := ks.keys.Decrypt(ctx, progress)
	if err == nil && ks.o.Keyring {
		if err := ks.keys.RemoveFromKeyring(); err != nil {
			ks.o.Warn("the keyring still holds the old identity, which opens nothing any more: " + err.Error())
		}
	}
	return problem.OfStorage("decrypt the keystore", err)
}

// Rekey encrypts every key anew, to other recipients.
func (ks *Keys) Rekey(ctx context.Context, o keystore.EncryptOptions) error {
	return problem.OfStorage("rekey the keystore", ks.keys.Rekey(ctx, o))
}

// ToKeyring lets the operating system's keyring unlock a keystore with a
// passphrase, for scripts.
func (ks *Keys) ToKeyring() error {
	return problem.OfStorage("put the keystore's identity into the keyring", ks.keys.SaveToKeyring())
}
