package keystore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// export writes s's bundle to a new identity and returns both.
func export(t *testing.T, s *Store, o ExportOptions) (bundle []byte, identity string) {
	t.Helper()
	identity, recipient := identityFile(t, filepath.Join(t.TempDir(), "id"))
	if o.Passphrase == nil {
		o.Recipients = []string{recipient}
	}
	var out bytes.Buffer
	_, err := s.Export(t.Context(), &out, o)
	must(t, err)
	return out.Bytes(), identity
}

func actions(p Plan) string {
	var parts []string
	for _, i := range p.Items {
		parts = append(parts, i.What+":"+string(i.Action))
	}
	return strings.Join(parts, " ")
}

func TestBundleTakesAFleetOver(t *testing.T) {
	for _, armored := range []bool{false, true} {
		from, to := newTest(t), newTest(t)
		fleetOf(t, from, 3)
		must(t, from.Proved(testID(0), testPublic(t, testPEM(testID(0))), Endpoint{Network: "tls", Address: "a.example:443", IPs: []string{"192.0.2.1"}}, testHostKey(testID(0)), true))
		must(t, from.PutInventory(Inventory{AsOf: time.Now().Add(-time.Hour), VMs: []InventoryVM{{ID: testID(0), VMFacts: VMFacts{State: "running"}}}}))
		bundle, identity := export(t, from, ExportOptions{Armor: armored, Docs: map[string][]byte{"names": []byte(`{"a":"b"}`)}})
		if bytes.Contains(bundle, []byte("PRIVATE KEY")) || armored != bytes.HasPrefix(bundle, []byte("-----BEGIN AGE")) {
			t.Fatal("the bundle is not what was asked for")
		}
		docs := map[string]string{}
		o := ImportOptions{IdentityFile: identity, DryRun: true, Doc: func(name string, data []byte, dry bool) ([]PlanItem, error) {
			if !dry {
				docs[name] = string(data)
			}
			return []PlanItem{{What: "doc", Name: name, Action: ActionAdd}}, nil
		}}
		plan, err := to.Import(t.Context(), bytes.NewReader(bundle), o)
		must(t, err)
		if ids, _ := to.IDs(); len(ids) != 0 || len(docs) != 0 {
			t.Fatal("a dry run changed something")
		}
		o.DryRun = false
		done, err := to.Import(t.Context(), bytes.NewReader(bundle), o)
		must(t, err)
		if want := "key:add key:add key:add doc:add inventory:add"; actions(plan) != want || actions(done) != want || docs["names"] != `{"a":"b"}` {
			t.Fatalf("dry %q, done %q, docs %v", actions(plan), actions(done), docs)
		}
		wantFleet(t, to, 3)
		rec, err := to.Record(testID(0))
		must(t, err)
		if rec.Source != "import" || !rec.ProvedAt.IsZero() || rec.ReportedAt.IsZero() || len(rec.HostKeys) != 1 || rec.HostKeys[0].Confirmed || !rec.HostKeys[0].Imported || rec.Endpoints[0].IPs[0] != "192.0.2.1" {
			t.Fatalf("record %+v", rec)
		}
		again, err := to.Import(t.Context(), bytes.NewReader(bundle), o)
		must(t, err)
		if want := "key:same key:same key:same doc:add inventory:same"; actions(again) != want {
			t.Fatalf("again %q", actions(again))
		}
		findings, err := to.Check()
		must(t, err)
		if hasFinding(findings, "", "known_hosts") {
			t.Fatalf("%+v", findings)
		}
		wantClean(t, to.Dir())
	}
}

func TestBundleUnderPassphrase(t *testing.T) {
	from := newTest(t)
	fleetOf(t, from, 2)
	bundle, _ := export(t, from, ExportOptions{Passphrase: []byte("open")})
	for pass, want := range map[string]Kind{"open": "", "wrong": KindSealed} {
		to := openTest(t, filepath.Join(t.TempDir(), "p"), Options{Passphrase: func(string) ([]byte, error) { return []byte(pass), nil }})
		_, err := to.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{})
		wantKind(t, err, want)
	}
	_, err := newTest(t).Import(t.Context(), bytes.NewReader(bundle), ImportOptions{})
	wantKind(t, err, KindSealed)
}

func TestImportNeverOverwritesSomethingNewer(t *testing.T) {
	clock := newClock()
	at := func(dir string) *Store { return openTest(t, dir, Options{ParseKey: testParse, Now: clock.now}) }
	from, to := at(filepath.Join(t.TempDir(), "a")), at(filepath.Join(t.TempDir(), "b"))
	id := testID(1)
	mustPut(t, from, id, testPEM("old"))
	bundle, identity := export(t, from, ExportOptions{})
	clock.t = clock.t.Add(time.Hour)
	mustPut(t, to, id, testPEM("new"))
	must(t, to.PinHostKey(id, testHostKey("real"), true, nil))
	plan, err := to.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
	if err != nil || actions(plan) != "key:keep" {
		t.Fatalf("%q, %v", actions(plan), err)
	}
	wantKey(t, to, id, testPEM("new"))

	clock.t = clock.t.Add(time.Hour)
	mustPut(t, from, id, testPEM("newest"))
	bundle, identity = export(t, from, ExportOptions{})
	plan, err = to.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
	if err != nil || actions(plan) != "key:update" {
		t.Fatalf("%q, %v", actions(plan), err)
	}
	wantCandidates(t, to, id, testPEM("new"), testPEM("newest"))

	must(t, from.PinHostKey(id, testHostKey("other"), true, nil))
	clock.t = clock.t.Add(time.Hour)
	mustPut(t, from, id, testPEM("planted"))
	bundle, identity = export(t, from, ExportOptions{})
	plan, err = to.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
	if err != nil || actions(plan) != "key:refuse" {
		t.Fatalf("%q, %v", actions(plan), err)
	}
	wantCandidates(t, to, id, testPEM("new"), testPEM("newest"))
}

// hostileBundle encrypts lines as they are.
func hostileBundle(t *testing.T, lines ...any) (bundle []byte, identity string) {
	t.Helper()
	identity, recipient := identityFile(t, filepath.Join(t.TempDir(), "id"))
	rs, err := parseRecipients([]string{recipient})
	must(t, err)
	var text bytes.Buffer
	for _, l := range lines {
		if raw, ok := l.(string); ok {
			text.WriteString(raw)
			continue
		}
		must(t, json.NewEncoder(&text).Encode(l))
	}
	data, err := encrypt(text.Bytes(), rs)
	must(t, err)
	return data, identity
}

func TestHostileBundles(t *testing.T) {
	header := bundleLine{Header: &bundleHeader{Format: bundleFormat, Version: 1}}
	vm := func(id, pub, key string) bundleLine {
		return bundleLine{VM: &bundleVM{Record: Record{VMID: id, PublicKey: pub, FetchedAt: time.Now().Add(24e3 * time.Hour),
			IP: "\x1b[2J", SSHPort: -1, HostNames: []string{"*", "github.com", testID(1) + ".ok.example", testID(2) + ".ok.example"}, HostKeys: []HostKey{{Key: "ssh-ed25519 AAAA\n* ssh-rsa BBBB"}},
			Endpoints: []Endpoint{{Network: "tls", Address: "x y:0"}}}, Key: key}}
	}
	good := string(testPEM("a"))
	pub := testPublic(t, testPEM("a"))
	end := func(n int) bundleLine { return bundleLine{End: &bundleEnd{VMs: n}} }
	for name, c := range map[string]struct {
		lines []any
		kind  Kind
		plan  string
	}{
		"empty":             {nil, KindDamaged, ""},
		"no header":         {[]any{vm(testID(1), pub, good), end(1)}, KindDamaged, ""},
		"not JSON":          {[]any{header, "<html>\n"}, KindDamaged, ""},
		"cut at a line":     {[]any{header, vm(testID(1), pub, good)}, KindDamaged, "key:add"},
		"VMs missing":       {[]any{header, vm(testID(1), pub, good), end(2)}, KindDamaged, "key:add"},
		"newer":             {[]any{bundleLine{Header: &bundleHeader{Format: bundleFormat, Version: 2}}}, KindNewerVersion, ""},
		"path for an id":    {[]any{header, vm("../../x", pub, good), end(1)}, "", "key:refuse"},
		"not a key":         {[]any{header, vm(testID(1), pub, "x"), end(1)}, "", "key:refuse"},
		"another key":       {[]any{header, vm(testID(1), pub, string(testPEM("b"))), end(1)}, "", "key:refuse"},
		"one of two broken": {[]any{header, vm(testID(1), pub, "x"), vm(testID(2), pub, good), end(2)}, "", "key:refuse key:add"},
		"endless line":      {[]any{header, `{"doc":{"name":"` + strings.Repeat("x", maxLine+1<<16)}, KindDamaged, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTest(t)
			bundle, identity := hostileBundle(t, c.lines...)
			plan, err := s.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
			wantKind(t, err, c.kind)
			if actions(plan) != c.plan {
				t.Fatalf("plan %q, want %q", actions(plan), c.plan)
			}
			recs, _, err := s.Records()
			must(t, err)
			for _, r := range recs {
				if r.IP != "" || r.SSHPort != 0 || len(r.HostNames) != 1 || len(r.Endpoints) != 0 || r.FetchedAt.After(time.Now()) || strings.ContainsAny(fmt.Sprint(r.HostKeys), "\n*") {
					t.Fatalf("record %+v", r)
				}
			}
		})
	}
}

func TestTruncatedBundle(t *testing.T) {
	from := newTest(t)
	fleetOf(t, from, 3)
	bundle, identity := export(t, from, ExportOptions{})
	for i := 0; i < len(bundle); i += len(bundle)/40 + 1 {
		_, err := newTest(t).Import(t.Context(), bytes.NewReader(bundle[:i]), ImportOptions{IdentityFile: identity})
		wantKind(t, err, KindDamaged)
		bad := bytes.Clone(bundle)
		bad[i] ^= 4
		if _, err := newTest(t).Import(t.Context(), bytes.NewReader(bad), ImportOptions{IdentityFile: identity}); err == nil {
			t.Fatalf("byte %d flipped and not noticed", i)
		}
	}
}

func FuzzImportLines(f *testing.F) {
	f.Add(`{"header":{"format":"vers-fleet bundle","version":1}}` + "\n" + `{"vm":{"record":{"vm_id":"` + testID(1) + `"},"key":"x"}}` + "\n" + `{"end":{"vms":1}}` + "\n")
	f.Add(`{"header":{"format":"vers-fleet bundle","version":1}}` + "\n" + `{"inventory":"2026-02-24T03:20:00Z"}` + "\n" + `{"inventory_vm":{"id":"x","labels":{"a":"b"}}}` + "\n" + `{"end":{}}` + "\n")
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		data, err := encrypt([]byte(lines), []age.Recipient{id.Recipient()})
		must(t, err)
		s := newTest(t)
		s.addIdentities([]age.Identity{id})
		plan, err := s.Import(t.Context(), bytes.NewReader(data), ImportOptions{})
		if err == nil && plan.Count(ActionAdd) > 1 {
			t.Fatal("keys out of nothing")
		}
	})
}
