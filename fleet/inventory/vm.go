package inventory

import (
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// VM is one VM as far as anything is known of it. The JSON names are stable.
type VM struct {
	ID   string `json:"vm_id"`
	Name string `json:"name"` // the first of Names that is no alias, else an alias; "" when it has none
	Role string `json:"role,omitempty"`
	keystore.VMFacts
	Names       []Name        `json:"names"`
	FormerNames []FormerName  `json:"former_names,omitempty"` // that it had before, the latest first
	LooksLike   string        `json:"looks_like,omitempty"`   // another VM's name, for which one of these can be taken
	Key         KeyState      `json:"key"`
	Endpoint    string        `json:"endpoint"`            // where SSH is dialled
	ReachedAt   time.Time     `json:"reached_at,omitzero"` // last login that worked
	Reachable   *bool         `json:"reachable,omitempty"` // only after a probe
	ProbeError  string        `json:"probe_error,omitempty"`
	Phase       string        `json:"phase,omitempty"` // what its lieutenant does, where that was asked for or is known
	PhaseText   string        `json:"phase_text,omitempty"`
	PhaseSince  time.Time     `json:"phase_since_at,omitzero"`
	PhaseAsOf   time.Time     `json:"phase_as_of,omitzero"`
	GoneAt      time.Time     `json:"gone_at,omitzero"` // since when the API no longer lists it
	Source      outage.Source `json:"source"`
	AsOf        time.Time     `json:"as_of"`
}

// KeyState says what the keystore holds for a VM.
type KeyState struct {
	Recorded  bool      `json:"saved"`
	Source    string    `json:"source,omitempty"`
	FetchedAt time.Time `json:"fetched_at,omitzero"`
	ProvedAt  time.Time `json:"verified_at,omitzero"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
	Problem   string    `json:"problem,omitempty"`
}

// Title is what to call the VM in a sentence: its name, or its id.
func (v VM) Title() string {
	if v.Name != "" {
		return v.Name
	}
	return v.ID
}

// Arg is the VM as a word that can be pasted into a shell.
func (v VM) Arg() string { return safe.Word(v.Title()) }

// NameSource is where a name comes from.
type NameSource string

// The sources of names, strongest first.
const (
	SourceAlias           NameSource = "alias"
	SourceLabelName       NameSource = "label:name"
	SourceLabelLieutenant NameSource = "label:lieutenant"
	SourceLabelAgent      NameSource = "label:agent"
	SourceLieutenants     NameSource = "lieutenants.json"
	SourceVersAliases     NameSource = "aliases.json"
	SourceRegistry        NameSource = "registry"
)

// nameSources lists the sources, strongest first.
func nameSources() []NameSource {
	return []NameSource{SourceAlias, SourceLabelName, SourceLabelLieutenant, SourceLabelAgent,
		SourceLieutenants, SourceVersAliases, SourceRegistry}
}

// Name is one name of a VM and where it comes from.
type Name struct {
	Name   string     `json:"name"`
	Source NameSource `json:"source"`
}

// Listing is the fleet at a moment.
type Listing struct {
	VMs     []VM
	Source  outage.Source
	AsOf    time.Time
	Outage  *problem.Error // why the cache had to serve
	Unsaved error          // the answer could not be recorded
}

// KeysLeft counts the living VMs without a recorded key.
func (l Listing) KeysLeft() int {
	n := 0
	for _, vm := range l.VMs {
		if !vm.Key.Recorded && vm.State != string(api.StateDead) {
			n++
		}
	}
	return n
}

// Outcomes pairs VMs with what became of the work on them.
func Outcomes(vms []VM, errs []error) []problem.Outcome {
	out := make([]problem.Outcome, len(vms))
	for i, vm := range vms {
		out[i] = problem.Outcome{Name: vm.Title(), Err: errs[i]}
	}
	return out
}
