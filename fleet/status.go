package fleet

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Status is one screen's worth of: is the API up, since when, can I reach my
// fleet, what should I do now. The JSON names are stable.
type Status struct {
	API      APIHealth                   `json:"api"`
	Halves   *Halves                     `json:"halves,omitempty"` // which half is down, if one is
	Fleet    Readiness                   `json:"fleet"`
	Home     Home                        `json:"home"`
	Queue    []commits.QueueItem         `json:"queue"`
	Warnings []retry.Warning             `json:"warnings"`
	Advice   string                      `json:"advice"`
	VMs      []inventory.VM              `json:"vms"`
	Locals   []inventory.LocalLieutenant `json:"local_lieutenants"`
	Checks   []Check                     `json:"checks,omitempty"` // with --verbose only
	Source   outage.Source               `json:"source"`           // of the API's health: live if it was asked just now
	AsOf     time.Time                   `json:"as_of"`
}

// APIHealth is what is known about the API.
type APIHealth struct {
	State      string         `json:"state"` // up, slow (no answer within seconds), down, limited (429), portal (something else answers), unknown, refused (the API key), no_key or local (trouble on this machine)
	Since      time.Time      `json:"since_at,omitzero"`
	Lasted     float64        `json:"lasted_seconds,omitempty"`
	LastAnswer time.Time      `json:"last_answer_at,omitzero"`
	LastError  string         `json:"last_error,omitempty"`
	NextProbe  time.Time      `json:"next_probe_at,omitzero"`
	Forecast   retry.Forecast `json:"-"`
	Outlook    Outlook        `json:"forecast"`                  // Forecast for scripts
	Latency    float64        `json:"latency_seconds,omitempty"` // of recent answers
	Outages    []PastOutage   `json:"outages"`
	Cause      string         `json:"cause,omitempty"`
}

// away reports whether the API does not answer, whatever the reason.
func (h APIHealth) away() bool {
	return h.State == string(retry.Down) || h.State == string(retry.Limited) || h.State == string(retry.Portal)
}

// Outlook is what past outages say about the present one.
type Outlook struct {
	Text      string  `json:"text"`
	Past      int     `json:"past_outages"`                // that it rests on; fewer than three say nothing
	Median    float64 `json:"median_seconds,omitempty"`    // of the past outages
	Longest   float64 `json:"longest_seconds,omitempty"`   // of the past outages
	Remaining float64 `json:"remaining_seconds,omitempty"` // median of what those that lasted as long still had to go
}

// PastOutage is one outage that was seen from here.
type PastOutage struct {
	Start    time.Time      `json:"since_at"`
	End      time.Time      `json:"until_at"`
	Seconds  float64        `json:"duration_seconds"`
	Failures int            `json:"failures"`
	Causes   map[string]int `json:"causes"`
}

// Readiness counts the VMs that could be reached without the API.
type Readiness struct {
	VMs         int       `json:"vms"`
	WithKey     int       `json:"with_key"`
	Proved      int       `json:"verified"` // a login with the recorded key has worked
	MissingKeys []string  `json:"missing_keys"`
	InventoryAt time.Time `json:"inventory_at,omitzero"`
}

// Status asks the API how it is, unless --offline forbids or another process
// has just asked, and adds what is recorded. While the API is known to be down
// it is asked as u says. It is given three seconds to answer.
func (f *Fleet) Status(ctx context.Context, u outage.Urgency) (Status, error) {
	list, err := f.Inventory.List(ctx, inventory.ListOptions{Urgency: u, Quick: true})
	if problem.KindOf(err) == problem.Storage || problem.KindOf(err) == problem.Interrupted || problem.KindOf(err) == problem.Usage {
		return Status{}, err
	}
	state, stateErr := f.API.MemoryState()
	if stateErr != nil {
		f.o.Warn("what is known of the API's health cannot be read: " + stateErr.Error())
	}
	now := f.o.Now()
	s := Status{API: health(state, now), Source: outage.FromCache, AsOf: now.UTC(), Warnings: state.Warnings(now)}
	if list.Source == outage.FromAPI {
		s.Source, s.API.LastAnswer = outage.FromAPI, list.AsOf
		if s.API.State == "unknown" { // where nothing can be recorded
			s.API.State = "up"
		}
	}
	unasked, silence := err, list.Outage
	if problem.KindOf(err) == "" && silence != nil && silence.Kind == problem.Auth { // no API key, so the cache answered
		unasked, silence = silence, nil
	}
	if problem.KindOf(err) == problem.Unavailable && !f.API.Forbidden(outage.AsAsked) {
		errors.As(err, &silence)
	}
	if silence != nil && (s.API.State == "up" || s.API.State == "unknown") {
		s.API.State, s.API.LastError = "slow", silence.Why
	}
	if list.Unsaved != nil {
		f.o.Warn(list.Unsaved.Error())
	}
	if s.Warnings == nil {
		s.Warnings = []retry.Warning{}
	}
	var e *problem.Error
	noKey := ""
	switch {
	case !errors.As(unasked, &e) || e.Kind != problem.Auth:
	case e.Origin != problem.OriginLocal:
		s.API.State, s.API.LastError, s.Source = "refused", e.Why, outage.FromAPI
	case !s.API.away(): // no API key, or none that can be sent: the API was not asked
		s.API.State, s.API.LastError, noKey = "no_key", e.What+": "+e.Why, e.Next
	}
	if err != nil { // the VMs are there all the same, and so are their keys
		list, _ = f.Inventory.List(ctx, inventory.ListOptions{Mode: outage.Offline})
	}
	s.Halves = f.halvesOf(ctx, s.API.State)
	s.VMs = append([]inventory.VM{}, list.VMs...)
	f.Output.RecallPhases(s.VMs)
	s.Fleet, s.Locals, s.Home = readiness(list), f.Inventory.Locals(), f.home(list.VMs)
	if s.Queue, err = f.Commits.Queue(); err != nil {
		f.o.Warn(err.Error()) // what can be read is shown
	}
	s.Advice = cmp.Or(noKey, f.advice(s))
	return s, nil
}

// health puts the outage memory into words and figures.
func health(s retry.State, now time.Time) APIHealth {
	h := APIHealth{State: "unknown", LastAnswer: s.LastAnswer, Forecast: s.Forecast(now), Outages: []PastOutage{},
		Latency: s.Latency.RecentTime().Seconds()}
	f := h.Forecast
	h.Outlook = Outlook{Text: f.String(), Past: f.N, Median: f.Median.Seconds(), Longest: f.Longest.Seconds(), Remaining: f.Remaining.Seconds()}
	switch {
	case s.Down():
		h.State, h.Since, h.NextProbe = string(s.Condition()), s.Outage.Start, s.NextProbe
		h.Lasted = s.Outage.Length(now).Seconds()
	case s.Local != nil:
		h.State, h.Since, h.Cause, h.LastError = "local", s.Local.First, string(s.Local.Cause), s.Local.Cause.Text()
	case !s.LastAnswer.IsZero():
		h.State = "up"
	}
	if s.LastError != nil && s.Down() {
		h.Cause, h.LastError = string(s.LastError.Cause), s.LastError.Cause.Text()
	}
	for _, o := range s.Past {
		h.Outages = append(h.Outages, PastOutage{Start: o.Start, End: o.End, Seconds: o.Length(now).Seconds(), Failures: o.Failures, Causes: o.Causes})
	}
	return h
}

func readiness(list inventory.Listing) Readiness {
	r := Readiness{VMs: len(list.VMs), MissingKeys: []string{}, InventoryAt: list.AsOf}
	for _, vm := range list.VMs {
		switch {
		case !vm.Key.Recorded:
			r.MissingKeys = append(r.MissingKeys, vm.ID)
			continue
		case !vm.Key.ProvedAt.IsZero():
			r.Proved++
		}
		r.WithKey++
	}
	return r
}

// advice is the one next step.
func (f *Fleet) advice(s Status) string {
	missing := len(s.Fleet.MissingKeys)
	switch {
	case s.API.State == "refused":
		return "check the API key: vers-fleet config view"
	case s.API.State == "local":
		return "fix this machine's network first: " + s.API.LastError
	case s.API.State == "portal":
		return "sign in to this network in a browser, or check the API URL: vers-fleet config view; ssh and pull work meanwhile if VMs can be reached"
	case s.API.State == "limited":
		return "ask less often, or wait until it allows calls again (vers-fleet wait); ssh and pull do not need it"
	case s.API.State == "down" && s.Fleet.WithKey == 0 && f.Keys.Adoptable() > 0:
		return "no key is recorded, but other Vers clients left some here: vers-fleet keys import --found"
	case s.API.State == "down" && s.Fleet.WithKey == 0:
		return "no key is recorded: ask a colleague for a bundle (vers-fleet keys export), see vers-fleet help outage, or wait: vers-fleet wait"
	case s.API.State == "slow":
		return "what is recorded works meanwhile; see whether the API answers at all: vers-fleet vms --live"
	case s.API.State == "down" && s.Halves.Front == halfDown:
		return "no VM can be reached now either; wait for the API: vers-fleet wait; then see which can: vers-fleet drill"
	case s.API.State == "down" && s.Home.fresh(s.AsOf) && len(s.Queue) > 0:
		return "the work is home, and commits wait; to send them when the API answers: vers-fleet queue run --wait"
	case s.API.State == "down":
		return s.Home.bringHome(s.AsOf)
	case s.Fleet.VMs == 0:
		return "record the fleet and its keys: vers-fleet vms"
	case missing > 0:
		return problem.Counted(missing, "VM") + " could not be reached in an outage: vers-fleet keys sync"
	case s.Halves != nil:
		return "the API answers, VMs do not: see which can be reached: vers-fleet drill"
	case len(s.Queue) > 0:
		return "commits are waiting: vers-fleet queue run"
	}
	return "all is well; prove it with: vers-fleet drill"
}
