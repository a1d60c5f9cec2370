package api

import (
	"net/netip"
	"time"
)

// State is what a VM does. States the platform may add later are kept as they
// came, in small letters.
type State string

// The states of the published document (schema VmState), and StateUnknown for
// an answer without a readable one.
const (
	StateBooting  State = "booting"
	StateRunning  State = "running"
	StatePaused   State = "paused"
	StateSleeping State = "sleeping"
	StateDead     State = "dead"
	StateUnknown  State = "unknown"
)

// VM is one virtual machine as the platform lists it. ID is always a valid id
// ([ValidID]); OwnerID is one or empty. CreatedAt is the zero time when the
// server sent none that can be read. Labels hold printable text only.
type VM struct {
	ID        string
	OwnerID   string
	CreatedAt time.Time
	State     State
	Labels    map[string]string
}

// Metadata is what the platform knows about one VM beyond [VM]. IP is the
// address inside the platform's network, usually IPv6; the zero Addr when the
// server sent none. DeletedAt is nil while the VM exists. The two parents are
// valid ids or empty.
type Metadata struct {
	ID              string
	OwnerID         string
	CreatedAt       time.Time
	DeletedAt       *time.Time
	State           State
	IP              netip.Addr
	ParentCommitID  string
	GrandparentVMID string
}

// CommitRequest asks for a snapshot. CommitID, chosen by the caller, makes the
// call safe to repeat; when empty the server chooses. Name and Description are
// optional. KeepPaused leaves the VM paused afterwards; SkipWaitBoot asks for
// an error instead of waiting for a VM that still boots.
type CommitRequest struct {
	CommitID     string
	Name         string
	Description  string
	KeepPaused   bool
	SkipWaitBoot bool
}

// Commit is one snapshot. ID is a valid id; ParentVMID is the VM it was taken
// of, or empty when the server does not say.
type Commit struct {
	ID          string
	OwnerID     string
	Name        string
	Description string
	Public      bool
	CreatedAt   time.Time
	ParentVMID  string
}

// CommitPage is one page of the commits the API key may see. Total counts all
// pages.
type CommitPage struct {
	Commits              []Commit
	Total, Limit, Offset int64
}

// RegistryVM is one entry of the optional VM registry. ID is a valid id;
// LastSeen is the zero time when unknown.
type RegistryVM struct {
	ID           string
	Name         string
	Role         string
	Status       string
	Address      string
	RegisteredBy string
	Metadata     map[string]string
	LastSeen     time.Time
}
