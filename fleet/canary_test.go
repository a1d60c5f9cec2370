package fleet_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// canaries are texts that may be in the keystore and nowhere else.
type canaries struct {
	mu    sync.Mutex
	words map[string]string // canary -> what it is
	said  []string          // all that was told to anybody
}

func (c *canaries) add(what string, words ...string) {
	for _, w := range words {
		c.words[w] = what
	}
}

// addKey takes every form in which a private key could get out.
func (c *canaries) addKey(t *testing.T, what string, pem []byte) {
	t.Helper()
	raw, err := ssh.ParseRawPrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		t.Fatalf("%s is a %T", what, raw)
	}
	seed := key.Seed()
	c.add(what, string(seed), fmt.Sprintf("%x", seed), base64.StdEncoding.EncodeToString(seed)[:40])
	lines := strings.Split(strings.TrimSpace(string(pem)), "\n")
	for _, line := range lines[3 : len(lines)-1] { // the first two hold the public half
		if len(line) > 20 {
			c.add(what, line)
		}
	}
}

func (c *canaries) hear(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, text)
}

func (c *canaries) hearError(err error) {
	if err == nil {
		return
	}
	c.hear(fmt.Sprintf("%v %+v %#v", err, err, err))
	if data, jsonErr := json.Marshal(err); jsonErr == nil {
		c.hear(string(data))
	}
	if e, ok := err.(*problem.Error); ok {
		c.hear(strings.Join([]string{e.What, e.Why, e.Next}, " "))
		c.hear(fmt.Sprintf("%v %+v %#v", e.Err, e.Err, e.Err))
	}
}

func (c *canaries) check(t *testing.T, where, text string) {
	t.Helper()
	for word, what := range c.words {
		if strings.Contains(text, word) {
			t.Errorf("%s shows %s", where, what)
		}
	}
}

// No secret is in an error, a warning, the verbose log, the arguments or the
// environment, or a file that is not the key's own - not even when the API
// itself repeats it.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	f := fleettest.NewFront(w)
	c := &canaries{words: map[string]string{}}
	secret := w.Sim.APIKey()[36:]
	c.add("the API key", secret, secret[:32], secret[32:])
	var anyKey []byte
	for _, vm := range w.Sim.VMs() {
		pem, err := vm.PrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		c.addKey(t, "the key of "+vm.Name(), pem)
		anyKey = pem
	}
	w.Options.Warn = c.hear
	w.Options.Logf = func(format string, args ...any) { c.hear(fmt.Sprintf(format, args...)) }
	w.Options.API.Warn, w.Options.API.Logf = w.Options.Warn, w.Options.Logf
	dest := t.TempDir()
	exercise(t, w, c, dest) // all is well
	for _, fault := range []string{"503", "403", "truncated", "reset-after", "garbage"} {
		w.Fault(sim.Fault{Kind: fault})
		exercise(t, w, c, dest)
	}
	w.Sim.ClearFaults()
	for _, status := range []int{200, 400, 401, 404, 409, 422, 500, 503} {
		f.Set(func(r *http.Request) *fleettest.Reply { return parrot(r, status, anyKey) }, nil)
		exercise(t, w, c, dest)
	}
	f.Set(nil, nil)
	w.Sim.VM("marketing").RotateKey()
	exercise(t, w, c, dest) // a refused key
	for _, text := range c.said {
		c.check(t, "what is said", text)
	}
	c.check(t, "the command line", strings.Join(os.Args, " "))
	c.check(t, "the environment of children", strings.Join(os.Environ(), " "))
	c.checkFiles(t, w.Home)
	c.checkFiles(t, dest)
	if len(c.said) < 50 {
		t.Errorf("only %d texts were heard", len(c.said))
	}
}

// parrot repeats the credentials it was sent, and a key, in an error.
func parrot(r *http.Request, status int, key []byte) *fleettest.Reply {
	words := r.Header.Get("Authorization") + " " + string(key)
	body, err := json.Marshal(map[string]any{"error": words, "success": false, "ssh_private_key": words, "ssh_port": words})
	if err != nil {
		return nil
	}
	return &fleettest.Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// exercise does a bit of everything and listens to the errors.
func exercise(t *testing.T, w *fleettest.World, c *canaries, dest string) {
	t.Helper()
	ctx := t.Context()
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	for _, work := range []func(f *fleet.Fleet) error{
		func(f *fleet.Fleet) error { _, err := f.List(ctx, fleet.ListOptions{}); return err },
		func(f *fleet.Fleet) error { _, err := f.Sync(ctx, fleet.SyncOptions{Refresh: true}); return err },
		func(f *fleet.Fleet) error {
			_, err := f.Commits.Commit(ctx, vm, commits.Request{Queue: true})
			return err
		},
		func(f *fleet.Fleet) error { _, err := f.Commits.RunQueue(ctx); return err },
		func(f *fleet.Fleet) error {
			_, err := f.Lifecycle.Resume(ctx, inventory.Selection{Names: []string{vm.ID}})
			return err
		},
		func(f *fleet.Fleet) error {
			_, _, err := f.Lifecycle.Branch(ctx, vm.ID, lifecycle.BranchRequest{Count: 1})
			return err
		},
		func(f *fleet.Fleet) error {
			s, err := f.Status(ctx, outage.Now)
			c.hear(fmt.Sprintf("%+v", s))
			return err
		},
		func(f *fleet.Fleet) error { k, err := f.Keys.List(); c.hear(fmt.Sprintf("%+v", k)); return err },
		func(f *fleet.Fleet) error {
			r, err := f.Remote.Pull(ctx, remote.PullRequest{Dest: dest, Items: []remote.PullItem{{VM: vm, Paths: []string{"/root/workspace/brief.md"}}}})
			c.hear(fmt.Sprintf("%+v", r))
			return err
		},
		func(f *fleet.Fleet) error { c.hear(f.OpenSSH.Command(vm, nil)); return nil },
	} {
		w.Forget()
		c.hearError(work(w.Open()))
	}
}

// checkFiles reads every file below dir but the keys.
func (c *canaries) checkFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "id") && filepath.Base(filepath.Dir(filepath.Dir(path))) == "keys" {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			c.check(t, path, string(data))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
