package access_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A key under a passphrase is of no use, for nobody here knows it: that is said,
// and not that the API's answer or the disk is broken.
func TestKeyUnderPassphraseFromTheAPI(t *testing.T) {
	w := fleettest.New(t, 6)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)), "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"ssh_private_key": string(pem.EncodeToMemory(block)), "ssh_port": 22})
	if err != nil {
		t.Fatal(err)
	}
	front := fleettest.NewFront(w)
	front.Set(func(r *http.Request) *fleettest.Reply {
		if !strings.HasSuffix(r.URL.Path, "/ssh_key") {
			return nil
		}
		return &fleettest.Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
	}, nil)
	_, err = w.Open().Access.Connect(t.Context(), inventory.VM{ID: sim.MarketingID, Name: "marketing"}, access.How{})
	var e *problem.Error
	if fleettest.AsError(err, &e); e == nil {
		t.Fatal(err)
	}
	if e.Kind != problem.LoginRefused || !strings.Contains(e.Why, "passphrase") || e.Next == "" || e.Retryable || strings.Contains(e.Error(), "PRIVATE") {
		t.Errorf("kind %s, why %q, next %q", e.Kind, e.Why, e.Next)
	}
}
