//go:build unix

package keystore

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ways are what can become of a file.
func ways() map[string]func(path string) error {
	replace := func(with func(path string) error) func(path string) error {
		return func(path string) error {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return with(path)
		}
	}
	return map[string]func(path string) error{
		"readable by all": func(path string) error { return os.Chmod(path, 0o644) },
		"writable by all": func(path string) error { return os.Chmod(path, 0o666) },
		"a FIFO":          replace(func(path string) error { return syscall.Mkfifo(path, 0o600) }),
		"a folder":        replace(func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) }),
		"a link": func(path string) error {
			return replace(func(path string) error { return os.Symlink("elsewhere", path) })(path)
		},
		"a loop of links": replace(func(path string) error { return os.Symlink(filepath.Base(path), path) }),
		"empty":           func(path string) error { return os.Truncate(path, 0) },
		"garbage":         func(path string) error { return os.WriteFile(path, []byte("\x00{]"), 0o600) },
		"a flipped bit": func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil && len(data) > 0 {
				data[len(data)/2] ^= 1
				err = os.WriteFile(path, data, 0o600)
			}
			return err
		},
	}
}

// TestOneBadFileStopsNothing spoils each file that only helps, in every way:
// keys are read and recorded all the same, nothing waits, and the file works
// again.
func TestOneBadFileStopsNothing(t *testing.T) {
	id, public := testID(1), testPublic(t, testPEM("a"))
	inv := func(at time.Time) Inventory { return Inventory{AsOf: at, VMs: []InventoryVM{{ID: id}}} }
	for _, file := range []string{"inventory.json", "names.json", "gone.json", "endpoint.json", "removed.json", fileKnownHosts, "locks/keys.lock", "locks/doc.inventory.lock"} {
		for way, spoil := range ways() {
			if strings.HasPrefix(file, "locks/") && way == "a folder" {
				continue // nothing of ours makes one, and what is in it is not ours to remove
			}
			t.Run(file+" is "+way, func(t *testing.T) {
				clock := newClock()
				var said []string
				s := openTest(t, filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse, Now: clock.now, Warn: func(w string) { said = append(said, w) }})
				mustPut(t, s, id, testPEM("a"))
				must(t, s.Proved(id, public, Endpoint{Network: "tls", Address: "a.example:443"}, testHostKey("a"), true))
				mustPut(t, s, testID(7), testPEM("removed"))
				must(t, s.Remove(testID(7)))
				must(t, s.BindEndpoint("https://api.vers.ai", ""))
				must(t, s.PutInventory(inv(clock.t)))
				must(t, s.MarkGone(nil, clock.t))
				write := func(text string) error {
					return s.Doc("names").Update(t.Context(), func([]byte) ([]byte, error) { return []byte(text), nil })
				}
				must(t, write(`{"a":1}`))
				must(t, spoil(s.path(file)))

				watch := time.AfterFunc(time.Minute, func() { panic("something waits for ever") })
				defer watch.Stop()
				clock.t = clock.t.Add(time.Hour)
				s = openTest(t, s.Dir(), s.o)
				wantKey(t, s, id, testPEM("a"))
				wantCandidates(t, s, id, testPEM("a"))
				if recs, findings, err := s.Records(); err != nil || len(recs) != 1 || len(findings) > 0 {
					t.Errorf("%v, %v, %v", recs, findings, err)
				}
				must(t, s.Proved(id, public, Endpoint{Network: "tls", Address: "b.example:443"}, testHostKey("a"), true))
				mustPut(t, s, testID(2), testPEM("b"))
				must(t, s.PinHostKey(testID(2), testHostKey("b"), true, nil))
				must(t, s.BindEndpoint("https://api.vers.ai", "owner"))
				must(t, s.PutInventory(inv(clock.t)))
				must(t, s.MarkGone([]string{id}, clock.t))
				must(t, write(`{"b":2}`))
				must(t, s.Remove(testID(2)))

				if got, err := s.Inventory(); err != nil || len(got.VMs) != 1 || !got.AsOf.Equal(clock.t) {
					t.Errorf("%+v, %v", got, err)
				}
				if got, err := s.Doc("names").Read(); err != nil || string(got) != `{"b":2}` {
					t.Errorf("%s, %v", got, err)
				}
				if rec, err := s.Record(id); err != nil || !rec.GoneAt.IsZero() {
					t.Errorf("%+v, %v", rec, err)
				}
				if _, err := s.Check(); err != nil {
					t.Error(err)
				}
				if known, err := os.ReadFile(s.KnownHostsPath()); err != nil || !strings.Contains(string(known), testHostKey("a")) {
					t.Errorf("known_hosts: %s, %v", known, err)
				}
				aside := slices.Contains([]string{"writable by all", "a FIFO", "a folder", "a link", "a loop of links"}, way) && !strings.HasPrefix(file, "locks/")
				told := slices.ContainsFunc(said, func(w string) bool { return strings.Contains(w, "begins anew") && strings.Contains(w, "damaged") })
				if aside && !told || way == "readable by all" && len(said) > 0 {
					t.Errorf("said %q", said)
				}
			})
		}
	}
}
