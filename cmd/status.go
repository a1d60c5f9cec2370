package cmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// usualWatch is how often vms and status --watch look. The outage memory
// keeps an API that is down from being asked that often.
const usualWatch = 2 * time.Second

func newStatusCommand(env *Env) *cobra.Command {
	var every time.Duration
	var history bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Is the API up, can I reach my fleet, what should I do now",
		Long: `Tells whether the API answers, for how long it has not, what earlier outages
say about how long this one may last, which VMs could be reached without it,
and what to do next. With --verbose it also checks what all this depends on:
permissions, clock, proxy variables, names and TLS. It greets the front of two
VMs, and logs in to one while the API is down, to tell which half of the
platform is down. The exit status is 0 whatever the answer is; scripts
read -o json.`,
		Example: `  vers-fleet status
  vers-fleet status --verbose
  vers-fleet status --watch
  vers-fleet status --history
  vers-fleet status --jq .api.state`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runStatus(c.Context(), env, every, history) },
	}
	c.Flags().BoolVar(&history, "history", false, "the outages seen from here: since, until, how long, why")
	addWatchFlag(c.Flags(), &every, usualWatch, "show it again and again, until interrupted")
	c.MarkFlagsMutuallyExclusive("history", "watch")
	return about(c, groupOutage, "works; that is its purpose", exitOK, exitStorage)
}

func runStatus(ctx context.Context, env *Env, every time.Duration, history bool) error {
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	if history {
		return showHistory(env, f)
	}
	if every > 0 {
		return watch(ctx, env, every, func(ctx context.Context) error { return showStatus(ctx, env, f, outage.Soon) })
	}
	return showStatus(ctx, env, f, outage.Now)
}

func showStatus(ctx context.Context, env *Env, f *fleet.Fleet, u outage.Urgency) error {
	s, err := f.Status(ctx, u)
	if err != nil {
		return err
	}
	if env.Streams.Verbose() {
		s.Checks = append([]fleet.Check{env.versionCheck()}, f.Checks(ctx, env.Getenv)...)
	}
	return ui.Value{JSON: s, Name: s.API.State, Text: func(t *ui.Text) { statusText(t, s) }}.Print(env.Streams, env.Format())
}

// statusText is one screen for people.
func statusText(t *ui.Text, s fleet.Status) {
	text, style := apiLine(t, s)
	t.Field("API", style, "%s", text)
	if h := s.Halves; h != nil {
		style := ui.Notice
		if h.Front == "down" {
			style = ui.Bad
		}
		t.Field("Which half", style, "%s", h.Text)
	}
	if s.API.State == "down" {
		t.Field("Outlook", ui.Normal, "%s", s.API.Forecast.String())
	}
	style = ui.Good
	if len(s.Fleet.MissingKeys) > 0 {
		style = ui.Bad
	}
	t.Field("Fleet", style, "%s", fleetLine(s.Fleet))
	if !s.Fleet.InventoryAt.IsZero() {
		t.Field("Inventory", ui.Normal, "%s", t.Time(s.Fleet.InventoryAt, s.AsOf))
	}
	if s.Home.VMs > 0 {
		t.Field("Home", ui.Normal, "%s", homeLine(t, s))
	}
	if len(s.Fleet.MissingKeys) > 0 {
		t.Field("No key for", ui.Bad, "%s", strings.Join(titles(s), ", "))
	}
	if len(s.Locals) > 0 {
		t.Field("Local", ui.Normal, "%s: on this machine, not on a VM", localsLine(s.Locals))
	}
	if text := phasesLine(t, s); text != "" {
		t.Field("Lieutenants", ui.Normal, "%s", text)
	}
	if len(s.Queue) > 0 {
		t.Field("Queue", ui.Normal, "%s waiting: vers-fleet queue list", ui.Count(len(s.Queue), "commit"))
	}
	for _, w := range s.Warnings {
		t.Field("Warning", ui.Bad, "%s", w.Text)
	}
	if n := len(s.API.Outages); n > 0 {
		t.Field("Outages seen", ui.Normal, "%s", outageLine(t, s))
	}
	t.Field("Do now", ui.Strong, "%s", s.Advice)
	for _, c := range s.Checks {
		text, style := c.Detail, ui.Normal
		switch c.State {
		case fleet.CheckFailed:
			text, style = "failed: "+text, ui.Bad
		case fleet.CheckWarning:
			style = ui.Notice
		case fleet.CheckSkipped:
			text, style = "not checked: "+text, ui.Faint
		}
		if c.Next != "" {
			text += " - " + c.Next
		}
		t.Field(checkTitle(c.Name), style, "%s", text)
	}
}

// checkTitle makes "API DNS" of api_dns and "Keystore" of keystore.
func checkTitle(name string) string {
	if of, what, ok := strings.Cut(name, "_"); ok {
		return strings.ToUpper(of + " " + what)
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// versionCheck tells which program this is, for a report of a problem.
func (e *Env) versionCheck() fleet.Check {
	b := e.Build
	return fleet.Check{Name: "version", State: fleet.CheckOK, Detail: fmt.Sprintf("vers-fleet %s, %s, %s/%s", b.Version, b.GoVersion, b.OS, b.Arch)}
}

func apiLine(t *ui.Text, s fleet.Status) (string, ui.Style) {
	a := s.API
	switch a.State {
	case "up":
		return fmt.Sprintf("up (answered %s)", t.Time(a.LastAnswer, s.AsOf)), ui.Good
	case "slow":
		text := "slow or going down: " + a.LastError
		if !a.LastAnswer.IsZero() {
			text += "; it answered " + t.Time(a.LastAnswer, s.AsOf)
		}
		return text, ui.Notice
	case "down":
		text := fmt.Sprintf("down since %s (%s): %s", moment(t, a.Since), ui.Span(s.AsOf.Sub(a.Since)), a.LastError)
		return text + nextTry(t, s), ui.Bad
	case "limited":
		return fmt.Sprintf("up, but it asks for fewer calls (429) since %s (%s)%s", moment(t, a.Since), ui.Span(s.AsOf.Sub(a.Since)), nextTry(t, s)), ui.Notice
	case "portal":
		return fmt.Sprintf("not heard: something else answers in its place since %s (%s)%s", moment(t, a.Since), ui.Span(s.AsOf.Sub(a.Since)), nextTry(t, s)), ui.Bad
	case "refused":
		return "up, but it refuses the API key", ui.Bad
	case "no_key":
		return "not asked: " + a.LastError, ui.Bad
	case "local":
		return "not reachable from this machine: " + a.LastError, ui.Bad
	}
	return "not known: it was never asked from here", ui.Faint
}

// moment is a time as the clocks show it, here and in UTC; in a pipe RFC 3339.
func moment(t *ui.Text, at time.Time) string {
	if t.Terminal() {
		return problem.Clock(at)
	}
	return ui.Absolute(at)
}

// farTry is from when on a clock says better than a span when it is worth asking.
const farTry = 30 * time.Minute

// nextTry tells when the API is asked again, or until when there is no use in it.
func nextTry(t *ui.Text, s fleet.Status) string {
	at := s.API.NextProbe
	if at.Sub(s.AsOf) < farTry {
		return "; next try " + t.Time(at, s.AsOf)
	}
	return "; it asks not to be called before " + moment(t, at) + ", so there is no use in asking earlier"
}

func fleetLine(r fleet.Readiness) string {
	if r.VMs == 0 {
		return "no VM is recorded yet"
	}
	return fmt.Sprintf("%d of %d VMs have a saved key, %d verified by a login", r.WithKey, r.VMs, r.Proved)
}

// phasesLine counts what the lieutenants did when they were asked last, and says
// since when that is known of all of them; "" if none was asked.
func phasesLine(t *ui.Text, s fleet.Status) string {
	counts, oldest := map[string]int{}, time.Time{}
	for _, vm := range s.VMs {
		if vm.Phase == "" || vm.Phase == string(remote.PhaseNone) {
			continue
		}
		counts[vm.Phase]++
		if oldest.IsZero() || vm.PhaseAsOf.Before(oldest) {
			oldest = vm.PhaseAsOf
		}
	}
	var parts []string
	for _, phase := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[phase], phase))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + " (oldest answer: " + t.Time(oldest, s.AsOf) + ")"
}

// homeLine tells whose work is on this machine, and since when.
func homeLine(t *ui.Text, s fleet.Status) string {
	when := t.Time(s.Home.SinceAt, s.AsOf)
	if s.Home.VMs > 1 {
		when = "(the first " + when + ")"
	}
	text := fmt.Sprintf("the work of %d of %d VMs was pulled whole %s", s.Home.VMs, s.Home.Of, when)
	if s.Home.Folder != "" {
		text += ", into " + s.Home.Folder
	}
	return text
}

func titles(s fleet.Status) []string {
	var out []string
	for _, vm := range s.VMs {
		if !vm.Key.Recorded {
			out = append(out, vm.Title())
		}
	}
	return out
}

// outageLine tells the last outages, newest first.
func outageLine(t *ui.Text, s fleet.Status) string {
	var parts []string
	for i := len(s.API.Outages) - 1; i >= 0 && len(parts) < 3; i-- {
		o := s.API.Outages[i]
		parts = append(parts, fmt.Sprintf("%s for %s", t.Time(o.Start, s.AsOf), ui.Span(time.Duration(o.Seconds)*time.Second)))
	}
	return fmt.Sprintf("%d; last: %s", len(s.API.Outages), strings.Join(parts, ", "))
}
