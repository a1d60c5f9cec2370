package remote

import (
	"encoding/json"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Receipt is what --receipt writes: what is here, by hash, and where it came
// from.
type Receipt struct {
	Version int         `json:"version"`
	At      time.Time   `json:"at"`
	VMs     []ReceiptVM `json:"vms"`
}

// ReceiptVM is one VM's part of a Receipt.
type ReceiptVM struct {
	PullResult
	Files []transfer.Entry `json:"entries"`
}

// WriteReceipt writes a receipt of a pull, durably.
func (rm *Remote) WriteReceipt(path string, results []PullResult) error {
	r := Receipt{Version: 1, At: rm.o.Now().UTC(), VMs: []ReceiptVM{}}
	for _, res := range results {
		entries := res.Summary.Manifest
		if entries == nil {
			entries = []transfer.Entry{}
		}
		r.VMs = append(r.VMs, ReceiptVM{PullResult: res, Files: entries})
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = keystore.WriteFile(path, append(data, '\n'), 0o644)
	}
	return problem.OfStorage("write the receipt", err)
}

// WriteFile writes a private file where the user asked for it, durably.
func (rm *Remote) WriteFile(path string, data []byte) error {
	return problem.OfStorage("write "+path, keystore.WriteFile(path, data, 0o600))
}
