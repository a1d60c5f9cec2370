package fleet_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// recordedFleet is a profile with n VMs, each with a key and a name, as after
// a vms while the API was up.
func recordedFleet(b *testing.B, n int) *fleet.Fleet {
	b.Helper()
	home := b.TempDir()
	store, err := keystore.Open(home+"/default", keystore.Options{ParseKey: sshconn.ParseKey})
	if err != nil {
		b.Fatal(err)
	}
	inv := keystore.Inventory{AsOf: time.Now()}
	for i := range n {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			b.Fatal(err)
		}
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i)*2654435761, i)
		if _, err := store.PutKey(id, pem.EncodeToMemory(block), keystore.KeyInfo{Source: "api"}); err != nil {
			b.Fatal(err)
		}
		inv.VMs = append(inv.VMs, keystore.InventoryVM{ID: id, VMFacts: keystore.VMFacts{State: "running", Labels: map[string]string{"name": fmt.Sprintf("worker-%d", i)}}})
	}
	if err := store.PutInventory(inv); err != nil {
		b.Fatal(err)
	}
	f, err := fleet.Open(fleet.Options{Home: home, Mode: outage.Offline, API: api.Config{BaseURL: "http://127.0.0.1:1"}})
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// What a person waits for with a fleet of 10,000 VMs and no API.
func BenchmarkFleet10k(b *testing.B) {
	const n = 10_000
	f := recordedFleet(b, n)
	ctx := context.Background()
	for name, work := range map[string]func() error{
		"vms": func() error {
			list, err := f.List(ctx, fleet.ListOptions{})
			if err == nil && len(list.VMs) != n {
				err = fmt.Errorf("%d VMs", len(list.VMs))
			}
			return err
		},
		"one": func() error {
			_, err := f.Inventory.One(ctx, "worker-4711")
			return err
		},
		"unknown": func() error {
			if _, err := f.Inventory.One(ctx, "worker-x"); problem.KindOf(err) != problem.NotFound && problem.KindOf(err) != problem.Unavailable {
				return fmt.Errorf("found: %w", err)
			}
			return nil
		},
		"complete":   func() error { _, err := f.Inventory.CompletionNames(); return err },
		"ssh-config": func() error { _, _, err := f.OpenSSH.Config(); return err },
		"keys check": func() error { _, err := f.Keys.Check(); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := work(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
