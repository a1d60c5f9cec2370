package keystore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Action is what an import does with one thing of a bundle.
type Action string

// The actions.
const (
	ActionAdd    Action = "add"
	ActionUpdate Action = "update"
	ActionSame   Action = "same"   // nothing new
	ActionKeep   Action = "keep"   // what is here counts for more
	ActionRefuse Action = "refuse" // broken or suspicious
)

// PlanItem is one thing of a bundle and what is done with it.
type PlanItem struct {
	What   string `json:"what"` // key, inventory, alias, name
	VMID   string `json:"vm_id,omitempty"`
	Name   string `json:"name,omitempty"` // of a doc; of a VM if the caller knows one
	Action Action `json:"action"`
	Why    string `json:"why,omitempty"`
}

// Plan is what an import did, or would do.
type Plan struct {
	Items     []PlanItem `json:"items"`
	Inventory Inventory  `json:"-"` // of the bundle
}

// Count returns how many items have the action a.
func (p Plan) Count(a Action) int {
	n := 0
	for _, i := range p.Items {
		if i.Action == a {
			n++
		}
	}
	return n
}

// ImportOptions configures Import.
type ImportOptions struct {
	DryRun       bool
	IdentityFile string // opens the bundle; "" tries what unlocks the store
	// Doc merges a document of another package and lists what it did, or would
	// do; nil leaves documents out.
	Doc func(name string, data []byte, dryRun bool) ([]PlanItem, error)
	// VetVM looks at what the bundle claims of a VM and what is here (the zero value
	// if nothing is), sets the labels of what is to be recorded, and lists what is
	// to be told.
	VetVM func(claimed, here InventoryVM, merged *InventoryVM) []PlanItem
}

// Import merges a bundle, encrypted as Export does it, armored or not. What it
// says are the claims of whoever wrote it: it never overwrites something newer,
// nor takes the place of a key that the API gave this machine or that logged in
// from it, as long as the VM has not refused that; it never replaces a pinned
// host key, and its own count as unconfirmed. A broken VM is refused and hides none of the others. When the bundle itself is
// broken (KindDamaged) or cannot be opened (KindSealed), the Plan says what
// had been done until then.
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (Plan, error) {
	m := &merger{s: s, o: o, seen: map[string]bool{}}
	plain, err := s.openBundle(r, o.IdentityFile)
	if err != nil {
		return m.plan, err
	}
	err = m.run(ctx, &bundleReader{r: bufio.NewReaderSize(plain, 64<<10)})
	return m.plan, err
}

func (s *Store) openBundle(r io.Reader, identityFile string) (io.Reader, error) {
	br := bufio.NewReader(r)
	start, _ := br.Peek(len(armor.Header))
	r = br
	if bytes.Equal(start, []byte(armor.Header)) {
		r = armor.NewReader(br)
	}
	ids := []age.Identity{&lazyScrypt{s}}
	if identityFile != "" {
		own, _, err := s.readIdentityFile(identityFile)
		if err != nil {
			return nil, err
		}
		ids = append(own, ids...)
	}
	ids = append(s.silentIdentities(), ids...)
	plain, err := age.Decrypt(r, ids...)
	if err == nil {
		return plain, nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, e
	}
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, &Error{Kind: KindSealed, Op: "import bundle", Why: "none of the identities at hand opens it", Err: err}
	}
	return nil, badBundle("it is not an age file", err)
}

func (s *Store) silentIdentities() []age.Identity {
	s.unlock.Lock()
	defer s.unlock.Unlock()
	if s.ids == nil {
		s.ids = &identities{}
		s.loadSilent()
	}
	return append([]age.Identity(nil), s.ids.silent...)
}

// lazyScrypt asks for the passphrase only if the bundle is under one.
type lazyScrypt struct{ s *Store }

func (l *lazyScrypt) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != "scrypt" || l.s.o.Passphrase == nil {
		return nil, age.ErrIncorrectIdentity
	}
	pass, err := l.s.o.Passphrase("Passphrase of the bundle")
	if err != nil {
		return nil, &Error{Kind: KindSealed, Op: "import bundle", Err: err}
	}
	id, err := scryptIdentity(pass)
	if err != nil {
		return nil, err
	}
	key, err := id.Unwrap(stanzas)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, &Error{Kind: KindSealed, Op: "import bundle", Why: "the passphrase is wrong", Err: err}
	}
	return key, err
}

// merger applies the lines of one bundle.
type merger struct {
	s    *Store
	o    ImportOptions
	plan Plan
	inv  *Inventory
	vms  int
	seen map[string]bool // VMs of this bundle
}

func (m *merger) add(i PlanItem) { m.plan.Items = append(m.plan.Items, i) }

func (m *merger) run(ctx context.Context, b *bundleReader) error {
	first, err := b.next()
	if err != nil {
		return err
	}
	if first.Header == nil || first.Header.Format != bundleFormat {
		return badBundle("it is not a bundle of this program", nil)
	}
	if first.Header.Version > bundleVersion {
		return &Error{Kind: KindNewerVersion, Op: "import bundle", Why: "it was written by a newer version of this program"}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := b.next()
		if err != nil {
			return err
		}
		if line.End != nil {
			return m.end(*line.End)
		}
		if err := m.line(line); err != nil {
			return err
		}
	}
}

func (m *merger) line(l bundleLine) error {
	switch {
	case l.VM != nil:
		m.vms++
		return m.vm(*l.VM)
	case l.Inventory != nil:
		m.inv = &Inventory{AsOf: *l.Inventory}
	case l.InventoryVM != nil && m.inv != nil:
		if validID(l.InventoryVM.ID) {
			m.inv.VMs = append(m.inv.VMs, *l.InventoryVM)
		}
	case l.Doc != nil && m.o.Doc != nil:
		items, err := m.o.Doc(l.Doc.Name, l.Doc.Data, m.o.DryRun)
		m.plan.Items = append(m.plan.Items, items...)
		return err
	}
	return nil
}

// end checks that all VMs came and merges the inventory.
func (m *merger) end(e bundleEnd) error {
	if e.VMs != m.vms {
		return badBundle("some of its VMs are missing", nil)
	}
	if m.inv == nil {
		return nil
	}
	m.plan.Inventory = *m.inv
	if m.inv.AsOf.After(m.s.now().Add(maxSkew)) {
		m.add(PlanItem{What: "inventory", Action: ActionRefuse, Why: "it is from the future"})
		return nil
	}
	merged, action := m.mergeInventory()
	m.add(PlanItem{What: "inventory", Action: action})
	if m.o.DryRun || action == ActionSame {
		return nil
	}
	return m.s.PutInventory(merged)
}

// mergeInventory joins the inventory here with the bundle's: the VMs of both, and
// of a VM in both the state that the newer of the two says; what the API said
// here of it stays, as does when. Of two that are equally old every machine takes
// the same one.
func (m *merger) mergeInventory() (Inventory, Action) {
	now := m.s.now()
	claimed := *m.inv
	if claimed.AsOf.After(now) {
		claimed.AsOf = now
	}
	local, err := m.s.Inventory()
	action := ActionSame
	if err != nil {
		local, action = Inventory{AsOf: claimed.AsOf}, ActionAdd
	}
	newer := newerInventory(claimed, local)
	at := make(map[string]int, len(local.VMs))
	for i, v := range local.VMs {
		at[v.ID] = i
	}
	for _, claim := range claimed.VMs {
		i, known := at[claim.ID]
		if !known {
			i = len(local.VMs)
			at[claim.ID], local.VMs = i, append(local.VMs, InventoryVM{})
		}
		here := local.VMs[i]
		if local.VMs[i] = m.mergeVM(claim, here, newer); action == ActionSame && !reflect.DeepEqual(here, local.VMs[i]) {
			action = ActionUpdate
		}
	}
	return local, action
}

// mergeVM is what to record of a VM: what is here, with the state that is claimed
// if that is newer, or what is claimed of a VM that is new, each with the labels
// that were vetted.
func (m *merger) mergeVM(claimed, here InventoryVM, newer bool) InventoryVM {
	merged := here
	switch {
	case here.ID == "":
		merged = claimed
	case newer:
		merged.State = claimed.State
	}
	if m.o.VetVM != nil {
		m.plan.Items = append(m.plan.Items, m.o.VetVM(claimed, here, &merged)...)
	}
	return merged
}

// newerInventory reports whether a is newer than b, or equally old and the one
// that every machine takes.
func newerInventory(a, b Inventory) bool {
	if order := a.AsOf.Compare(b.AsOf); order != 0 {
		return order > 0
	}
	there, terr := json.Marshal(a.VMs)
	here, herr := json.Marshal(b.VMs)
	return terr == nil && herr == nil && bytes.Compare(there, here) > 0
}
