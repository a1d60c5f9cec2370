package fleet_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// mutator spoils answers, repeatably for a seed.
type mutator struct {
	mu  sync.Mutex
	rnd *rand.Rand
	n   int      // answers spoiled
	ids []string // of the real VMs
}

func (m *mutator) seed(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rnd = rand.New(rand.NewPCG(uint64(n), 20260224))
}

// maybe spoils all lists of VMs and most keys.
func (m *mutator) maybe(r *http.Request, a *fleettest.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/vms") || strings.HasSuffix(r.URL.Path, "/ssh_key") && m.rnd.IntN(4) > 0 {
		m.n++
		m.spoil(a)
	}
}

// spoil changes one answer.
func (m *mutator) spoil(a *fleettest.Reply) {
	switch m.rnd.IntN(8) {
	case 0:
		a.Body = a.Body[:m.rnd.IntN(len(a.Body)+1)]
	case 1, 2:
		a.Body = bytes.Clone(a.Body)
		for range 1 + m.rnd.IntN(4) {
			if len(a.Body) > 0 {
				a.Body[m.rnd.IntN(len(a.Body))] ^= byte(1 << m.rnd.IntN(8))
			}
		}
	case 3:
		a.Status = []int{200, 201, 204, 206, 302, 400, 404, 409, 418, 422, 429, 500, 503}[m.rnd.IntN(13)]
	case 4:
		a.Body = []byte(m.text())
	default:
		a.Body = m.fields(a.Body)
	}
}

// fields puts hostile values in place of some fields.
func (m *mutator) fields(body []byte) []byte {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return body
	}
	v = m.walk(v)
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	// What no encoder writes.
	return bytes.ReplaceAll(out, []byte(`"HUGE"`), []byte("1"+strings.Repeat("0", 400)))
}

func (m *mutator) walk(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = m.walk(v[i])
		}
		if len(v) > 0 && m.rnd.IntN(4) == 0 {
			v = append(v[:m.rnd.IntN(len(v))], v[m.rnd.IntN(len(v)):]...) // one twice, or some gone
		}
		return v
	case map[string]any:
		for _, name := range []string{"vm_id", "owner_id", "created_at", "state", "labels", "ssh_private_key", "ssh_port"} {
			if _, ok := v[name]; ok && m.rnd.IntN(5) == 0 {
				v[name] = m.value(name)
			}
		}
	}
	return v
}

func (m *mutator) value(field string) any {
	switch {
	case field == "ssh_private_key" && m.rnd.IntN(2) == 0:
		return m.foreignKey()
	case field == "labels" && m.rnd.IntN(2) == 0:
		return map[string]any{"name": m.text(), "lieutenant": m.ids[m.rnd.IntN(len(m.ids))][:8], m.text(): m.text(), "agent": 7}
	}
	switch m.rnd.IntN(8) {
	case 0:
		return nil
	case 1:
		return "HUGE"
	case 2:
		return -1e300
	case 3:
		return []any{map[string]any{}, []any{}}
	case 4:
		return true
	case 5:
		return m.ids[m.rnd.IntN(len(m.ids))]
	case 6:
		return fmt.Sprintf("%08x-1111-4222-8333-%012x", m.rnd.Uint32(), m.rnd.Uint64N(1<<48))
	}
	return m.text()
}

func (m *mutator) text() string {
	list := []string{"", "../../../etc/passwd", "..", "a/b", "\x1b]0;owned\a\x1b[2J", "name\nkey", "-oProxyCommand=touch /tmp/x", "\u202egnitekram",
		strings.Repeat("x", 100_000), strings.Repeat("[", 50_000), "<!doctype html><title>portal</title>", "marketing", "\xff\xfe\x00", "null", "{}", "[]",
		strings.ToUpper(m.ids[0]), " " + m.ids[1] + " ", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"}
	return list[m.rnd.IntN(len(list))]
}

// foreignKey is a sound private key that opens nothing here.
func (m *mutator) foreignKey() string {
	var seed [ed25519.SeedSize]byte
	for i := range seed {
		seed[i] = byte(m.rnd.Uint32())
	}
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(seed[:]), "")
	if err != nil {
		return ""
	}
	return string(pem.EncodeToMemory(block))
}

// However an answer is spoiled, nothing recorded is lost by it: every key that
// has worked still opens its VM.
func TestSpoiledAnswersLoseNoKey(t *testing.T) {
	rounds := 50
	if os.Getenv("VERS_FLEET_TORTURE") != "" {
		rounds = 500
	}
	w := fleettest.New(t, 6)
	f := fleettest.NewFront(w)
	m := &mutator{}
	keys := map[string]ed25519.PrivateKey{}
	for _, vm := range w.Sim.VMs() {
		pem, err := vm.PrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		m.ids, keys[vm.ID()] = append(m.ids, vm.ID()), privateKey(pem)
	}
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open().Drill(t.Context(), fleet.DrillOptions{Selection: inventory.Selection{All: true}}); err != nil {
		t.Fatal(err)
	}
	ends := map[problem.Kind]int{}
	m.seed(0)
	f.Set(nil, m.maybe)
	for round := range rounds {
		m.seed(round)
		w.Forget()
		_, listErr := w.Open().List(t.Context(), fleet.ListOptions{})
		w.Forget()
		_, syncErr := w.Open().Sync(t.Context(), fleet.SyncOptions{Refresh: true, NoHostKeys: true})
		for _, err := range []error{listErr, syncErr} {
			ends[problem.KindOf(err)]++
			if problem.KindOf(err) == problem.Storage || problem.KindOf(err) == problem.Interrupted {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if !keysThere(t, w, keys) {
			t.Fatalf("round %d lost a key", round)
		}
	}
	f.Set(nil, nil)
	t.Logf("%d answers spoiled; commands ended with %v", m.n, ends)
	for id := range keys {
		conn, err := w.Open(fleettest.Offline).Access.Connect(t.Context(), inventory.VM{ID: id}, access.How{})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		_ = conn.Close()
	}
	w.Forget()
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || len(list.VMs) != len(keys) || list.Unsaved != nil {
		t.Errorf("a sound answer afterwards lists %d VMs: %v, %v", len(list.VMs), err, list.Unsaved)
	}
}

// keysThere looks for the real key among the files of each VM.
func keysThere(t *testing.T, w *fleettest.World, keys map[string]ed25519.PrivateKey) bool {
	t.Helper()
	all := true
	for id, key := range keys {
		paths, err := filepath.Glob(filepath.Join(w.Home, "default", "keys", id, "id*"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || key.Equal(privateKey(data))
		}
		if !found {
			t.Errorf("the key of %s is in none of %v", id, paths)
			all = false
		}
	}
	return all
}

// privateKey is nil for what is no ed25519 key.
func privateKey(pem []byte) ed25519.PrivateKey {
	if raw, err := ssh.ParseRawPrivateKey(pem); err == nil {
		if k, ok := raw.(*ed25519.PrivateKey); ok {
			return *k
		}
	}
	return nil
}
