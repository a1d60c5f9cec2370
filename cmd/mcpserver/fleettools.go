package mcpserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// origin is where an answer came from and when it was true.
type origin struct {
	Source outage.Source `json:"source,omitempty"`
	AsOf   time.Time     `json:"as_of,omitzero"`
}

func (s *Server) addFleetTools() {
	add(s, spec{name: "fleet_vms", title: "List VMs", bulk: "vms",
		about: "The VMs of the fleet: names, ids, state, whether each can be reached without the API (key_saved). Records the fleet for an outage."}, vms)
	add(s, spec{name: "fleet_status", title: "API and fleet health",
		about: "Is the Vers API up, since when not, what is home, how many VMs could be reached, and what to do now (advice)."}, status)
	add(s, spec{name: "fleet_drill", title: "Outage drill", bulk: "vms",
		about: "Log in to VMs with what is recorded and no API call: which would be lost if the API died now?"}, drill)
	add(s, spec{name: "queue_list", title: "Waiting commits", bulk: "commits",
		about: "Commits (snapshots) that wait for the API."}, queueList)
}

type vmsInput struct {
	page
	Label string `json:"label,omitempty" jsonschema:"only VMs with this label, key=value"`
	State string `json:"state,omitempty" jsonschema:"only VMs in this state: booting, running, paused, sleeping, dead"`
}

// fleetVM is a VM in the list: what an agent chooses by.
type fleetVM struct {
	VMID       string            `json:"vm_id"`
	Name       string            `json:"name"`
	State      string            `json:"state"`
	Role       string            `json:"role,omitempty"`
	Key        bool              `json:"key_saved"`
	ReachedAt  time.Time         `json:"reached_at,omitzero"`
	Phase      string            `json:"phase,omitempty"`
	LooksLike  string            `json:"looks_like,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	OtherNames []string          `json:"other_names,omitempty"`
}

type vmsOutput struct {
	VMs    []fleetVM `json:"vms"`
	Total  int       `json:"total"`
	Outage string    `json:"outage,omitempty"`
	origin
}

func vms(ctx context.Context, c *call, in vmsInput) (vmsOutput, error) {
	list, err := c.List(ctx, fleet.ListOptions{})
	if err != nil {
		return vmsOutput{}, err
	}
	out := vmsOutput{origin: origin{list.Source, list.AsOf}}
	if list.Outage != nil {
		out.Outage = list.Outage.Error()
	}
	if in.Label != "" {
		k, v, ok := strings.Cut(in.Label, "=")
		if !ok || k == "" {
			return out, usage("label needs key=value", "", "for example: role=lieutenant")
		}
		list.VMs, err = list.Select(inventory.Selection{Labels: map[string]string{k: v}})
		if err != nil && problem.KindOf(err) != problem.NotFound { // that none has it is an answer
			return out, err
		}
	}
	c.Output.RecallPhases(list.VMs)
	for _, vm := range list.VMs {
		if in.State == "" || in.State == vm.State {
			out.VMs = append(out.VMs, listed(vm))
		}
	}
	out.Total = len(out.VMs)
	return out, list.Unsaved
}

func listed(vm inventory.VM) fleetVM {
	v := fleetVM{VMID: vm.ID, Name: vm.Name, State: vm.State, Role: vm.Role, Key: vm.Key.Recorded, ReachedAt: vm.ReachedAt, Phase: vm.Phase, LooksLike: vm.LooksLike, Labels: vm.Labels}
	for _, n := range vm.Names {
		if n.Name != vm.Name && !slices.Contains(v.OtherNames, n.Name) {
			v.OtherNames = append(v.OtherNames, n.Name)
		}
	}
	return v
}

type statusOutput struct {
	API      fleet.APIHealth `json:"api"`
	Halves   *fleet.Halves   `json:"halves,omitempty"`
	Fleet    fleet.Readiness `json:"fleet"`
	Home     fleet.Home      `json:"home"`
	Waiting  int             `json:"waiting_commits"`
	Warnings []string        `json:"warnings"`
	Advice   string          `json:"advice"`
	origin
}

// nothing is the input of a tool that takes no arguments.
type nothing struct{}

func status(ctx context.Context, c *call, _ nothing) (statusOutput, error) {
	s, err := c.Status(ctx, outage.Now)
	if err != nil {
		return statusOutput{}, err
	}
	out := statusOutput{API: s.API, Halves: s.Halves, Fleet: s.Fleet, Home: s.Home, Waiting: len(s.Queue), Advice: s.Advice, origin: origin{s.Source, s.AsOf}}
	for _, w := range s.Warnings {
		out.Warnings = append(out.Warnings, w.Text)
	}
	return out, nil
}

type drillInput struct {
	page
	VMs          []string `json:"vms,omitempty" jsonschema:"names or ids; all if none"`
	IgnorePaused bool     `json:"ignore_paused,omitempty" jsonschema:"leave out VMs that are paused or asleep"`
}

type drillOutput struct {
	VMs  []fleet.DrillResult `json:"vms"`
	Lost int                 `json:"lost"`
}

func drill(ctx context.Context, c *call, in drillInput) (drillOutput, error) {
	done := 0
	results, err := c.Drill(ctx, fleet.DrillOptions{Selection: inventory.Selection{Names: in.VMs, All: len(in.VMs) == 0}, IgnorePaused: in.IgnorePaused,
		OnDone: func(fleet.DrillResult) { done++; c.progress(ctx, "tried %d VMs", done) }})
	out := drillOutput{VMs: results}
	for _, r := range results {
		if !r.OK {
			out.Lost++
		}
	}
	if results != nil && ctx.Err() == nil && problem.KindOf(err) == problem.Unreachable {
		return out, nil // that some would be lost is an answer
	}
	return out, err
}

type queueOutput struct {
	Commits []commits.QueueItem `json:"commits"`
}

func queueList(_ context.Context, c *call, _ page) (queueOutput, error) {
	items, err := c.Commits.Queue()
	return queueOutput{items}, err
}
