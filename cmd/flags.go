package cmd

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// globalFlags are the flags every command understands.
type globalFlags struct {
	set                     *pflag.FlagSet // where the settings find theirs
	profile, config, apiURL string
	output, jq, template    string
	quiet, verbose          bool
	noColor, noProgress     bool
	timeout                 time.Duration
	offline, live           bool
	wait                    waitFlag
}

func (g *globalFlags) register(root *cobra.Command) {
	f := root.PersistentFlags()
	g.set = f
	f.SortFlags, root.Flags().SortFlags = false, false
	f.StringVar(&g.profile, "profile", "", "account or endpoint `NAME`; each has its own keys and records")
	f.StringVar(&g.config, "config", "", "configuration `FILE` instead of the default one")
	f.StringVar(&g.apiURL, "api-url", "", "base `URL` of the API")
	f.StringVarP(&g.output, "output", "o", "", "output `FORMAT`: "+strings.Join(ui.FormatNames(), ", "))
	f.BoolFunc("json", "as -o json", func(v string) error {
		on, err := strconv.ParseBool(v)
		if on && err == nil {
			g.output = "json"
		}
		return err
	})
	f.StringVar(&g.jq, "jq", "", "filter the JSON form with a jq `EXPRESSION`")
	f.StringVar(&g.template, "template", "", "print the JSON form through a Go text `TEMPLATE`")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print nothing but the answer, warnings and errors")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "tell on stderr what is done and why")
	f.BoolVar(&g.noColor, "no-color", false, "no colour (also NO_COLOR)")
	f.BoolVar(&g.noProgress, "no-progress", false, "no spinner and no progress display")
	f.DurationVar(&g.timeout, "timeout", 0, "give up after `DURATION` (such as 30s or 5m)")
	f.BoolVar(&g.offline, "offline", false, "make no API call at all")
	f.BoolVar(&g.live, "live", false, "accept only a live answer of the API, else exit 5")
	f.Var(&g.wait, "wait", "keep trying until the API answers, at most that long")
	f.Lookup("wait").NoOptDefVal = waitForever
}

// check refuses flags that contradict each other.
func (g *globalFlags) check() error {
	var given []string
	for _, m := range []struct {
		set  bool
		name string
	}{{g.offline, "--offline"}, {g.live, "--live"}, {g.wait.set, "--wait"}} {
		if m.set {
			given = append(given, m.name)
		}
	}
	switch {
	case len(given) > 1:
		return usageError("give only one of "+strings.Join(given, " and "), "they ask for opposite ways to treat the API", "")
	case g.quiet && g.verbose:
		return usageError("give only one of --quiet and --verbose", "", "")
	case g.timeout < 0:
		return usageError("--timeout must not be negative", "", "")
	}
	return nil
}

// waitForever is what pflag sets for --wait without a value; its help text then
// reads --wait[=DURATION].
const waitForever = "DURATION"

// waitFlag is --wait or --wait=DURATION.
type waitFlag struct {
	set   bool
	limit time.Duration // 0: without limit
}

var _ pflag.Value = (*waitFlag)(nil)

// String returns the value as it would be given; empty when unset.
func (w *waitFlag) String() string {
	switch {
	case !w.set:
		return ""
	case w.limit == 0:
		return "forever"
	default:
		return w.limit.String()
	}
}

// Set reads the value; durations must be positive.
func (w *waitFlag) Set(s string) error {
	if s == waitForever {
		*w = waitFlag{set: true}
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return usageError("--wait needs a positive duration", "got "+safe.Clean(s), "write it with an equals sign, as in --wait=10m")
	}
	*w = waitFlag{set: true, limit: d}
	return nil
}

// Type makes pflag's help text show the optional value and nothing else.
func (w *waitFlag) Type() string { return "bool" }
