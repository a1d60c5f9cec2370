package keystore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// A bundle is an age file with one JSON object per line: a header, the VMs,
// the inventory, documents of other packages, and an end with the number of
// VMs. It is written and read line by line, so its size costs no memory.

const (
	bundleFormat  = "vers-fleet bundle"
	bundleVersion = 1
	maxLine       = 16 << 20
	maxLines      = 1 << 20
)

// bundleLine is one line; exactly one field is set.
type bundleLine struct {
	Header      *bundleHeader `json:"header,omitempty"`
	VM          *bundleVM     `json:"vm,omitempty"`
	Inventory   *time.Time    `json:"inventory,omitempty"` // as of; its VMs follow
	InventoryVM *InventoryVM  `json:"inventory_vm,omitempty"`
	Doc         *bundleDoc    `json:"doc,omitempty"`
	End         *bundleEnd    `json:"end,omitempty"`
}

type bundleHeader struct {
	Format    string    `json:"format"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"created_at"`
}

type bundleVM struct {
	Record      Record `json:"record"`
	Key         string `json:"key"`
	PreviousKey string `json:"previous_key,omitempty"`
}

type bundleDoc struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

type bundleEnd struct {
	VMs int `json:"vms"`
}

// ExportOptions says to whom a bundle is encrypted: Recipients (age1... or SSH
// public keys) or a Passphrase.
type ExportOptions struct {
	Recipients []string
	Passphrase []byte
	Armor      bool              // text instead of binary
	Docs       map[string][]byte // documents of other packages, e.g. names
}

// ExportSummary says what went into a bundle.
type ExportSummary struct {
	VMs     int
	Skipped []Finding // VMs whose key cannot be read; all others are in the bundle
}

// Export writes all keys, host keys, the inventory and o.Docs to w as one
// encrypted bundle. Nothing is ever written in the clear.
func (s *Store) Export(ctx context.Context, w io.Writer, o ExportOptions) (ExportSummary, error) {
	var sum ExportSummary
	to, err := s.exportTo(o)
	if err != nil {
		return sum, err
	}
	var armored io.WriteCloser
	if o.Armor {
		armored = armor.NewWriter(w)
		w = armored
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return sum, ioError("export keys", "", err)
	}
	buf := bufio.NewWriter(sealed)
	err = s.exportLines(ctx, json.NewEncoder(buf), o.Docs, &sum)
	if err == nil {
		err = errors.Join(buf.Flush(), sealed.Close())
	}
	if err == nil && armored != nil {
		err = armored.Close()
	}
	return sum, ioError("export keys", "", err)
}

func (s *Store) exportTo(o ExportOptions) ([]age.Recipient, error) {
	if (len(o.Passphrase) > 0) == (len(o.Recipients) > 0) {
		return nil, invalid("export keys", "give either a passphrase or recipients")
	}
	if len(o.Recipients) > 0 {
		return parseRecipients(o.Recipients)
	}
	r, err := s.scryptRecipient(o.Passphrase)
	return []age.Recipient{r}, err
}

func (s *Store) exportLines(ctx context.Context, out *json.Encoder, docs map[string][]byte, sum *ExportSummary) error {
	header := bundleHeader{Format: bundleFormat, Version: bundleVersion, CreatedAt: s.now()}
	if err := out.Encode(bundleLine{Header: &header}); err != nil {
		return err
	}
	ids, err := s.IDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		vm, err := s.bundleVM(id)
		if IsNotFound(err) {
			continue
		}
		if err != nil {
			sum.Skipped = append(sum.Skipped, findingOf(id, err))
			continue
		}
		if err := out.Encode(bundleLine{VM: vm}); err != nil {
			return err
		}
		sum.VMs++
	}
	if err := s.exportInventory(out); err != nil {
		return err
	}
	for name, data := range docs {
		if err := out.Encode(bundleLine{Doc: &bundleDoc{Name: name, Data: data}}); err != nil {
			return err
		}
	}
	return out.Encode(bundleLine{End: &bundleEnd{VMs: sum.VMs}})
}

func (s *Store) bundleVM(id string) (*bundleVM, error) {
	l, err := s.current(id)
	if err != nil {
		return nil, err
	}
	keys, err := s.Candidates(id)
	if err != nil {
		return nil, err
	}
	vm := &bundleVM{Record: l.rec.clone(), Key: string(keys[0])}
	if len(keys) > 1 {
		vm.PreviousKey = string(keys[1])
	}
	vm.Record.KeyFiles, vm.Record.Replaced = nil, nil
	if vm.Record.Previous != nil {
		vm.Record.Previous.Files = nil
	}
	return vm, nil
}

func (s *Store) exportInventory(out *json.Encoder) error {
	inv, err := s.Inventory()
	if err != nil {
		return nil // none, or a damaged one: the keys matter more
	}
	if err := out.Encode(bundleLine{Inventory: &inv.AsOf}); err != nil {
		return err
	}
	for i := range inv.VMs {
		if err := out.Encode(bundleLine{InventoryVM: &inv.VMs[i]}); err != nil {
			return err
		}
	}
	return nil
}

// bundleReader yields the lines of a bundle, each bounded in size.
type bundleReader struct {
	r     *bufio.Reader
	lines int
}

func (b *bundleReader) next() (bundleLine, error) {
	var line bundleLine
	var raw []byte
	for {
		part, err := b.r.ReadSlice('\n')
		raw = append(raw, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, badBundle("it is cut short or was changed", err)
		}
		if len(raw) > maxLine {
			return line, badBundle("one of its lines is far too long", nil)
		}
	}
	if b.lines++; b.lines > maxLines {
		return line, badBundle("it has far too many lines", nil)
	}
	if err := json.Unmarshal(bytes.TrimSpace(raw), &line); err != nil {
		return line, badBundle("one of its lines is malformed", nil)
	}
	return line, nil
}

func badBundle(why string, err error) error {
	return &Error{Kind: KindDamaged, Op: "import bundle", Why: why, Err: err}
}
