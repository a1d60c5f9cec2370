package commits_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// Whatever the API answers that is no listing, the record stays and serves where the
// API is unreachable.
func TestCommitsAreKept(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	for i := range 230 { // three pages
		if _, err := w.Open().Commits.Commit(t.Context(), inventory.VM{ID: sim.MarketingID, Name: "marketing"}, commits.Request{Name: fmt.Sprint("n", i)}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := w.Open().Commits.List(t.Context())
	if err != nil || len(list.Commits) != 230 || list.Source != outage.FromAPI || list.Unsaved != nil || list.Commits[0].Name != "n229" {
		t.Fatalf("%d commits, %s, %v, %v", len(list.Commits), list.Source, list.Unsaved, err)
	}
	for _, kind := range []string{"503", "reset", "html", "empty", "garbage", "truncated"} {
		w.Forget()
		w.Fault(sim.Fault{Kind: kind, Endpoint: "commits"})
		list, err := w.Open().Commits.List(t.Context())
		if err != nil || len(list.Commits) != 230 || list.Source != outage.FromCache || list.AsOf.IsZero() || list.Commits[0].AskedAt.IsZero() {
			t.Errorf("%s: %d commits, %s of %v, %v", kind, len(list.Commits), list.Source, list.AsOf, err)
		}
		w.Sim.ClearFaults()
	}
	w.Forget()
	w.Fault(sim.Fault{Kind: "403", Endpoint: "commits"})
	if _, err := w.Open().Commits.List(t.Context()); problem.KindOf(err) != problem.Auth {
		t.Errorf("a refused key: %v", err)
	}
	if list, err := w.Open(fleettest.Offline).Commits.List(t.Context()); err != nil || len(list.Commits) != 230 {
		t.Errorf("after that: %d commits, %v", len(list.Commits), err)
	}
}

// A record that cannot be read hinders neither a listing nor a commit.
func TestDamagedRecordOfCommits(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	damage := func() {
		if err := os.WriteFile(filepath.Join(w.Home, "default", "commits.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	if r, err := w.Open().Commits.Commit(t.Context(), inventory.VM{ID: sim.MarketingID}, commits.Request{}); err != nil || r.Status != commits.StatusCommitted {
		t.Errorf("%+v, %v", r, err)
	}
	damage()
	if list, err := w.Open().Commits.List(t.Context()); err != nil || len(list.Commits) != 1 || list.Unsaved != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

// A word that may mean several is not guessed.
func TestOneCommit(t *testing.T) {
	l := commits.Listing{Commits: []commits.Commit{
		{CommitID: "aaaa1111-0000-4000-8000-000000000001", Name: "twin"}, {CommitID: "aaaa2222-0000-4000-8000-000000000002", Name: "twin"},
		{CommitID: "bbbb1111-0000-4000-8000-000000000003", Name: "aaaa1111-0000-4000-8000-000000000001"},
	}}
	for word, want := range map[string]string{
		"aaaa1": "aaaa1111-0000-4000-8000-000000000001", "BBBB": "bbbb1111-0000-4000-8000-000000000003",
		"aaaa1111-0000-4000-8000-000000000001": "aaaa1111-0000-4000-8000-000000000001", // an id goes before a name
		"twin":                                 "", "aaaa": "", "bbb": "", "": "",
	} {
		if c, err := l.One(word); c.CommitID != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", word, c.CommitID, err)
		}
	}
}
