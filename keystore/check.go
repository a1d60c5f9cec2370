package keystore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Severity says how bad a Finding is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // a key or record is lost, damaged or refused
	SeverityWarning Severity = "warning" // works, but not as it should
	SeverityInfo    Severity = "info"    // worth knowing
)

// Finding is one thing that Check or Records noticed.
type Finding struct {
	Severity Severity `json:"severity"`
	VMID     string   `json:"vm_id,omitempty"`
	Kind     Kind     `json:"kind,omitempty"`
	What     string   `json:"what"`
	Path     string   `json:"path,omitempty"`
	Next     string   `json:"fix,omitempty"` // a command that can be pasted
}

func findingOf(id string, err error) Finding {
	f := Finding{Severity: SeverityError, VMID: id, Kind: KindOf(err), What: err.Error()}
	if e, ok := asError(err); ok {
		f.Path, f.Next = e.Path, e.Next
	}
	return f
}

// proofAge is after how long without a login a key is mentioned.
const proofAge = 30 * 24 * time.Hour

// Check reads everything that is recorded, sets damaged files aside, and
// returns what is not as it should be, errors first. An error means that the
// store as a whole cannot be read. Encrypted keys are opened only as far as
// that needs nobody to be asked.
func (s *Store) Check() ([]Finding, error) {
	if err := s.checkFolders(); err != nil {
		return nil, err
	}
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	each := make([][]Finding, len(ids))
	recs := make([]Record, len(ids))
	inParallel(len(ids), func(i int) { recs[i], each[i] = s.checkVM(ids[i]) })
	all := slices.Concat(each...)
	all = append(all, s.checkKnownHosts(recs)...)
	all = append(all, s.checkForeign()...)
	all = append(all, s.checkDamaged()...)
	all = append(all, s.checkDocs()...)
	order := []Severity{SeverityError, SeverityWarning, SeverityInfo}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	return all, nil
}

func (s *Store) checkVM(id string) (Record, []Finding) {
	var out []Finding
	l, err := s.current(id)
	if err == nil {
		err = s.checkKey(id, l)
	}
	rec := l.rec
	switch {
	case IsNotFound(err) && rec.VMID == "":
		return Record{}, nil // being written or removed at this moment
	case IsNotFound(err):
		out = append(out, Finding{Severity: SeverityWarning, VMID: id, Kind: KindNotFound, What: "no key is recorded", Path: s.path(vmDir(id)), Next: "vers-fleet keys sync"})
	case err != nil:
		out = append(out, findingOf(id, err))
	default:
		out = append(out, s.checkFacts(rec)...)
	}
	return rec, append(out, s.checkStrays(id, l)...)
}

// checkKey opens the key if that is possible without asking anybody.
func (s *Store) checkKey(id string, l located) error {
	if sealed(l.ref.Name) {
		if _, err := s.decryptQuietly(l.data); KindOf(err) == KindSealed {
			if looksSealed(l.data) {
				return nil
			}
			return &Error{Kind: KindDamaged, Op: "read key", Path: s.path(vmDir(id), l.ref.Name), Why: "it is not an age file"}
		}
	}
	_, err := s.unseal(id, l)
	return err
}

func (s *Store) checkFacts(r Record) []Finding {
	var out []Finding
	add := func(sev Severity, what string) {
		out = append(out, Finding{Severity: sev, VMID: r.VMID, What: what})
	}
	if r.Version > recordVersion {
		out = append(out, Finding{Severity: SeverityWarning, VMID: r.VMID, Kind: KindNewerVersion, What: "the record was written by a newer version and is not changed by this one"})
	}
	if len(r.HostKeys) == 0 {
		add(SeverityWarning, "no host key is pinned; the first login will have to trust what it meets")
	}
	if r.refused() {
		add(SeverityError, "the VM refused this key at "+r.RefusedAt.Format(time.RFC3339))
	}
	switch age := s.now().Sub(r.ProvedAt); {
	case r.ProvedAt.IsZero() && !r.ReportedAt.IsZero():
		add(SeverityInfo, "the key was never verified by a login from here; a bundle says that it was at "+r.ReportedAt.Format(time.RFC3339))
	case r.ProvedAt.IsZero():
		add(SeverityInfo, "the key was never verified by a login")
	case age > proofAge:
		add(SeverityInfo, "the key was last verified by a login at "+r.ProvedAt.Format(time.RFC3339))
	}
	switch p := r.Previous; {
	case p == nil:
	case p.rank() == 0:
		add(SeverityInfo, "a bundle claims another key, which is kept beside this one until a login decides")
	default:
		add(SeverityInfo, "the key changed and has not worked yet; its predecessor is kept")
	}
	if !r.GoneAt.IsZero() {
		add(SeverityInfo, "the API no longer lists the VM since "+r.GoneAt.Format(time.RFC3339))
	}
	return out
}

// checkStrays looks for other files that may hold a secret.
func (s *Store) checkStrays(id string, l located) []Finding {
	entries, err := os.ReadDir(s.path(vmDir(id)))
	if err != nil {
		return nil
	}
	wanted := []string{fileRecord, l.ref.Name}
	if p := l.rec.Previous; p != nil {
		for _, f := range p.Files {
			wanted = append(wanted, f.Name)
		}
	}
	var out []Finding
	for _, e := range entries {
		path := s.path(vmDir(id), e.Name())
		if slices.Contains(wanted, e.Name()) || strings.HasPrefix(e.Name(), tempPrefix) && s.beingWritten(path) {
			continue
		}
		out = append(out, Finding{Severity: SeverityWarning, VMID: id, What: "a file that does not belong here may hold a key", Path: path, Next: "rm " + safe.Word(path)})
	}
	return out
}

// beingWritten tells whether a temporary file is younger than any write takes.
func (s *Store) beingWritten(path string) bool {
	info, err := os.Lstat(path)
	return err != nil || time.Since(info.ModTime()) < lockTimeout
}

// checkKnownHosts compares known_hosts with the records and repairs it.
func (s *Store) checkKnownHosts(recs []Record) []Finding {
	data, err := readShown("read", s.KnownHostsPath(), maxDoc)
	if err != nil && !IsNotFound(err) {
		return []Finding{findingOf("", err)}
	}
	lines := map[string]bool{}
	for line := range bytes.Lines(data) {
		lines[string(line)] = true
	}
	for _, r := range recs {
		for _, want := range r.hostLines() {
			if lines[want] {
				continue
			}
			f := Finding{Severity: SeverityWarning, What: "known_hosts lacked host keys that are pinned; it was written anew", Path: s.KnownHostsPath()}
			if err := s.keysTx(func(t *tx) error { return t.rebuildKnownHosts() }); err != nil {
				f = findingOf("", err)
			}
			return []Finding{f}
		}
	}
	return nil
}

// checkForeign reports what is in keys/ and is not a VM.
func (s *Store) checkForeign() []Finding {
	entries, err := os.ReadDir(s.path("keys"))
	if err != nil {
		return nil
	}
	var out []Finding
	for _, e := range entries {
		path := s.path("keys", e.Name())
		if validID(e.Name()) || strings.HasPrefix(e.Name(), tempPrefix) && s.beingWritten(path) {
			continue
		}
		out = append(out, Finding{Severity: SeverityWarning, What: "this is not a VM of the keystore", Path: path})
	}
	return out
}

// checkDamaged lists what was set aside.
func (s *Store) checkDamaged() []Finding {
	entries, err := os.ReadDir(s.path("damaged"))
	if err != nil {
		return nil
	}
	var out []Finding
	for _, e := range entries {
		path := s.path("damaged", e.Name())
		files, _ := filepath.Glob(filepath.Join(path, "*"))
		names := make([]string, 0, len(files))
		for _, f := range files {
			names = append(names, filepath.Base(f))
		}
		id := ""
		if len(e.Name()) > 36 && validID(e.Name()[:36]) {
			id = e.Name()[:36]
		}
		out = append(out, Finding{
			Severity: SeverityWarning, VMID: id, Kind: KindDamaged, Path: path,
			What: "damaged files were set aside: " + strings.Join(names, ", "), Next: "rm -r " + safe.Word(path),
		})
	}
	return out
}

// checkDocs reads the settings and the inventory.
func (s *Store) checkDocs() []Finding {
	var out []Finding
	c, err := s.readConfig()
	switch {
	case err != nil:
		out = append(out, findingOf("", err))
	case c.Version > configVersion:
		out = append(out, findingOf("", newer(s.path(fileConfig))))
	case c.Changing:
		out = append(out, Finding{Severity: SeverityWarning, What: "an encryption or decryption of the keystore was interrupted; run it again"})
	}
	if _, err := s.Inventory(); err != nil && !IsNotFound(err) {
		out = append(out, findingOf("", err))
	}
	if _, err := s.removals(); err != nil {
		out = append(out, findingOf("", err))
	}
	return out
}
