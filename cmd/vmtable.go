package cmd

import (
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// vmListing declares the columns of a list of VMs.
func vmListing(probed, phased bool) ui.Listing[inventory.VM] {
	l := ui.Listing[inventory.VM]{
		Columns: []ui.Column[inventory.VM]{
			{Header: "NAME", Value: inventory.VM.Title, Style: func(inventory.VM) ui.Style { return ui.Strong }},
			{Header: "ROLE", Minor: true, Value: func(v inventory.VM) string { return dash(v.Role) }},
			{Header: "STATE", Value: stateText, Style: stateStyle},
			{Header: "AGE", Minor: true, Time: func(v inventory.VM) time.Time { return v.CreatedAt }},
			{Header: "KEY", Value: keyText, Style: keyStyle},
			{Header: "LAST LOGIN", Time: func(v inventory.VM) time.Time { return v.ReachedAt }},
			{Header: "LOOKS LIKE", Sparse: true, Value: func(v inventory.VM) string { return dash(v.LooksLike) }, Style: func(inventory.VM) ui.Style { return ui.Bad }},
			{Header: "OTHER NAMES", Wide: true, Sparse: true, Value: otherNames},
			{Header: "ID", Wide: true, Value: func(v inventory.VM) string { return v.ID }},
			{Header: "ENDPOINT", Wide: true, Value: func(v inventory.VM) string { return v.Endpoint }},
			{Header: "LABELS", Wide: true, Value: labelText},
		},
		Name:  inventory.VM.Title,
		Empty: "no VMs",
	}
	if probed {
		l.Columns = slices.Insert(l.Columns, 5, ui.Column[inventory.VM]{Header: "SSH", Value: probeText, Style: probeStyle})
	}
	if phased {
		l.Columns = slices.Insert(l.Columns, 3, ui.Column[inventory.VM]{Header: "PHASE", Value: phaseText, Style: phaseStyle})
	}
	return l
}

// otherNames are those that a VM has beside its title, then "was" and those that
// it had.
func otherNames(v inventory.VM) string {
	var out []string
	for _, n := range v.Names {
		if n.Name != v.Name && !slices.Contains(out, n.Name) {
			out = append(out, n.Name)
		}
	}
	for _, n := range v.FormerNames {
		out = append(out, "was "+n.Name)
	}
	return dash(strings.Join(out, ", "))
}

// phaseText is what the lieutenant does, and why if that says more.
func phaseText(v inventory.VM) string {
	if v.PhaseText == "" {
		return dash(v.Phase)
	}
	return v.Phase + ": " + v.PhaseText
}

func phaseStyle(v inventory.VM) ui.Style {
	switch remote.Phase(v.Phase) {
	case remote.PhaseWorking, remote.PhaseIdle:
		return ui.Good
	case remote.PhaseRetrying, remote.PhaseWaiting, remote.PhaseSilent:
		return ui.Notice
	case remote.PhaseNone:
		return ui.Faint
	}
	return ui.Bad
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stateText(v inventory.VM) string {
	if !v.GoneAt.IsZero() {
		return "gone"
	}
	return dash(v.State)
}

func stateStyle(v inventory.VM) ui.Style {
	switch stateText(v) {
	case "running":
		return ui.Good
	case "dead", "gone":
		return ui.Bad
	}
	return ui.Faint
}

// keyText says whether the key is there and whether it ever worked.
func keyText(v inventory.VM) string {
	switch {
	case v.Key.Problem != "":
		return "damaged"
	case !v.Key.Recorded:
		return "missing"
	case v.Key.RefusedAt.After(v.Key.ProvedAt):
		return "refused"
	case v.Key.ProvedAt.IsZero():
		return "saved"
	}
	return "verified"
}

func keyStyle(v inventory.VM) ui.Style {
	switch keyText(v) {
	case "verified":
		return ui.Good
	case "saved":
		return ui.Normal
	}
	return ui.Bad
}

func labelText(v inventory.VM) string {
	var pairs []string
	for k, val := range v.Labels {
		pairs = append(pairs, k+"="+val)
	}
	slices.Sort(pairs)
	return dash(strings.Join(pairs, ","))
}

func probeText(v inventory.VM) string {
	switch {
	case v.Reachable == nil:
		return "-"
	case *v.Reachable:
		return "ok"
	}
	return "no: " + v.ProbeError
}

func probeStyle(v inventory.VM) ui.Style {
	if v.Reachable != nil && *v.Reachable {
		return ui.Good
	}
	return ui.Bad
}
