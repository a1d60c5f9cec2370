package keystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recordVersion is the version of the record format this package writes.
const recordVersion = 1

// Record is what is known about one VM besides its private key.
type Record struct {
	Version   int    `json:"version"`
	VMID      string `json:"vm_id"`
	PublicKey string `json:"public_key,omitempty"` // authorized_keys form; "" when there is no key
	Source    string `json:"source,omitempty"`     // where the key came from: api, import, found:<path>, recovered

	FetchedAt  time.Time `json:"fetched_at,omitzero"`  // the key came in
	ProvedAt   time.Time `json:"proved_at,omitzero"`   // a login with this key from this machine last worked; zero: never
	ReportedAt time.Time `json:"reported_at,omitzero"` // a bundle claims that a login with this key worked then
	RefusedAt  time.Time `json:"refused_at,omitzero"`  // the VM last refused this key
	GoneAt     time.Time `json:"gone_at,omitzero"`     // tombstone: the API no longer lists the VM

	HostKeys  []HostKey  `json:"host_keys,omitempty"`
	HostNames []string   `json:"host_names,omitempty"` // names known_hosts lists the host keys under
	Endpoints []Endpoint `json:"endpoints,omitempty"`  // last one that worked first
	SSHPort   int        `json:"ssh_port,omitempty"`
	IP        string     `json:"ip,omitempty"`

	Previous *PreviousKey `json:"previous,omitempty"`

	// KeyFiles and Replaced belong to the store; a caller's change to them is
	// ignored. Replaced is the key that this one was written over while an
	// older one stayed the predecessor: it counts if the writing was
	// interrupted.
	KeyFiles []FileRef    `json:"key_files,omitempty"`
	Replaced *PreviousKey `json:"replaced,omitempty"`
}

// PreviousKey describes the other key of a VM, to be tried after the current
// one: its predecessor, kept until the new key has worked; or one that only a
// bundle claims, kept until one of the two has.
type PreviousKey struct {
	PublicKey  string    `json:"public_key"`
	Source     string    `json:"source,omitempty"`
	FetchedAt  time.Time `json:"fetched_at,omitzero"`
	ProvedAt   time.Time `json:"proved_at,omitzero"`
	ReportedAt time.Time `json:"reported_at,omitzero"`
	Files      []FileRef `json:"files"`
}

// FileRef names a file that may hold a key, and what its content must be.
type FileRef struct {
	Name string `json:"name"`
	Sum  string `json:"sha256"`       // of the file as stored
	To   string `json:"to,omitempty"` // fingerprint of the recipients it is encrypted to
}

// HostKey is one pinned host key.
type HostKey struct {
	Key       string    `json:"key"` // "ssh-ed25519 AAAA..."
	FirstSeen time.Time `json:"first_seen,omitzero"`
	Confirmed bool      `json:"confirmed,omitempty"` // somebody vouched for it: the API's front, or the user by accepting it
	Imported  bool      `json:"imported,omitempty"`  // a bundle claimed it
}

// Endpoint is an address that a login worked through.
type Endpoint struct {
	Network  string    `json:"network"` // "tls" or "tcp"
	Address  string    `json:"address"` // host:port
	IPs      []string  `json:"ips,omitempty"`
	WorkedAt time.Time `json:"worked_at,omitzero"`
}

// HasKey tells whether a key is recorded.
func (r Record) HasKey() bool { return r.PublicKey != "" || len(r.KeyFiles) > 0 }

// PreviousPublicKey returns the predecessor's public key, "" if there is none.
func (r Record) previousPublicKey() string {
	if r.Previous == nil {
		return ""
	}
	return r.Previous.PublicKey
}

// clone copies r so that a caller's change does not reach the original.
func (r Record) clone() Record {
	r.HostKeys = slices.Clone(r.HostKeys)
	r.HostNames = slices.Clone(r.HostNames)
	r.Endpoints = slices.Clone(r.Endpoints)
	for i := range r.Endpoints {
		r.Endpoints[i].IPs = slices.Clone(r.Endpoints[i].IPs)
	}
	r.KeyFiles = slices.Clone(r.KeyFiles)
	r.Previous, r.Replaced = r.Previous.clone(), r.Replaced.clone()
	return r
}

func (p *PreviousKey) clone() *PreviousKey {
	if p == nil {
		return nil
	}
	c := *p
	c.Files = slices.Clone(p.Files)
	return &c
}

// sourceImport is the Source of a key that a bundle brought.
const sourceImport = "import"

// rank is what speaks for a key: 2 a login from this machine, 1 that the API or
// this machine had it, 0 nothing but a bundle. A bundle holds the claims of
// whoever wrote it, for encrypting to a recipient authenticates nobody.
func rank(source string, provedAt time.Time) int {
	switch {
	case !provedAt.IsZero():
		return 2
	case source != sourceImport:
		return 1
	}
	return 0
}

func (r Record) rank() int { return rank(r.Source, r.ProvedAt) }

// rank of no key is that of a claim.
func (p *PreviousKey) rank() int {
	if p == nil {
		return 0
	}
	return rank(p.Source, p.ProvedAt)
}

// refused tells whether the VM refused the key since it last worked.
func (r Record) refused() bool { return r.RefusedAt.After(r.ProvedAt) }

// older lists the keys that count when the current one is not there, best
// first.
func (r Record) older() []*PreviousKey {
	return slices.DeleteFunc([]*PreviousKey{r.Replaced, r.Previous}, func(p *PreviousKey) bool { return p == nil })
}

// rolledBack is the record with p, one of older, as the current key.
func (r Record) rolledBack(p *PreviousKey) Record {
	if p == r.Previous {
		r.Previous = nil
	}
	r.PublicKey, r.Source, r.FetchedAt = p.PublicKey, p.Source, p.FetchedAt
	r.ProvedAt, r.ReportedAt = p.ProvedAt, p.ReportedAt
	r.RefusedAt, r.KeyFiles, r.Replaced = time.Time{}, p.Files, nil
	return r
}

// envelope is what record.json holds: the record and a checksum over its exact
// bytes and the version, so that any changed byte is noticed.
type envelope struct {
	Version int             `json:"version"`
	Sum     string          `json:"sum"`
	Record  json.RawMessage `json:"record"`
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

const sumPrefix = "sha256:"

func recordSum(version int, body []byte) string {
	return sumPrefix + sha(append([]byte("vers-fleet record "+strconv.Itoa(version)+"\n"), body...))
}

func encodeRecord(r Record) ([]byte, error) {
	r.Version = recordVersion
	body, err := json.Marshal(r)
	if err != nil {
		return nil, invalid("write record", "%v", err)
	}
	out, err := json.Marshal(envelope{Version: recordVersion, Sum: recordSum(recordVersion, body), Record: body})
	return append(out, '\n'), err
}

// decodeRecord reads a record of the VM id. A record that a newer version
// wrote is read as far as this one understands it; its checksum is verified
// when it is of the kind known here. All failures are KindDamaged.
func decodeRecord(id, path string, data []byte) (Record, error) {
	damaged := func(why string) (Record, error) {
		return Record{}, &Error{Kind: KindDamaged, Op: "read record", Path: path, Why: why}
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return damaged("it is not valid JSON")
	}
	if e.Version < 1 {
		return damaged("it has no version")
	}
	known := e.Version <= recordVersion || strings.HasPrefix(e.Sum, sumPrefix)
	if known && e.Sum != recordSum(e.Version, e.Record) {
		return damaged("its checksum is wrong")
	}
	var r Record
	if err := json.Unmarshal(bytes.TrimSpace(e.Record), &r); err != nil && e.Version <= recordVersion {
		return damaged("its fields are malformed")
	}
	if r.VMID != id {
		return damaged("it belongs to another VM")
	}
	r.Version = e.Version
	return r, nil
}
