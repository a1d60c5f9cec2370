package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Fault is one thing that goes wrong, and for which calls.
type Fault struct {
	Kind         string        `json:"kind"` // a status from 400 to 599, or the name of one of FaultKinds
	RetryAfter   string        `json:"retry_after,omitempty"`
	RetryAfterMs string        `json:"retry_after_ms,omitempty"`
	Date         string        `json:"date,omitempty"`
	Latency      time.Duration `json:"latency_ns,omitempty"`
	Rate         int           `json:"rate,omitempty"`
	Bytes        int64         `json:"bytes,omitempty"`
	Stage        string        `json:"stage,omitempty"` // one of stages
	Endpoint     string        `json:"endpoint,omitempty"`
	Method       string        `json:"method,omitempty"`
	VM           string        `json:"vm,omitempty"`
	Count        int           `json:"count,omitempty"`
	Every        int           `json:"every,omitempty"`
	Probability  float64       `json:"probability,omitempty"`
}

// faultOff is the kind that ends all faults.
const faultOff = "off"

// Flags are the options of a fault. Parsing them sets its fields.
func (f *Fault) Flags() *pflag.FlagSet {
	s := pflag.NewFlagSet("fault", pflag.ContinueOnError)
	s.StringVar(&f.Endpoint, "endpoint", f.Endpoint, "only calls of `NAME`: "+strings.Join(endpoints(), ", "))
	s.StringVar(&f.Method, "method", f.Method, "only calls with the HTTP method `M`")
	s.StringVar(&f.VM, "vm", f.VM, "only calls about the `VM`, or connections to it")
	s.IntVar(&f.Count, "count", f.Count, "only the next `N` calls")
	s.IntVar(&f.Every, "every", f.Every, "only every `N`-th call")
	s.Float64Var(&f.Probability, "probability", f.Probability, "only this `SHARE` of the calls, between 0 and 1")
	s.DurationVar(&f.Latency, "latency", f.Latency, "answer later by `DURATION`")
	s.StringVar(&f.RetryAfter, "retry-after", f.RetryAfter, "`VALUE` of that header of a status")
	s.StringVar(&f.RetryAfterMs, "retry-after-ms", f.RetryAfterMs, "`VALUE` of that header of a status")
	s.StringVar(&f.Date, "date", f.Date, "`VALUE` of that header, for clocks that differ")
	s.IntVar(&f.Rate, "rate", f.Rate, "`N` bytes per second of what is slow")
	s.StringVar(&f.Stage, "stage", f.Stage, "`STAGE` of a connection from which on: "+strings.Join(stages(), ", "))
	s.Int64Var(&f.Bytes, "bytes", f.Bytes, "`N` bytes until a connection is reset")
	return s
}

// SetKind reads the kind of a fault whose options are set as a person writes
// it: KIND or KIND=VALUE, such as 503, latency=200ms, flaky=0.3, flaky=1/3 or
// off. It reports what is wrong with the whole fault.
func (f *Fault) SetKind(text string) error {
	name, value, hasValue := strings.Cut(text, "=")
	f.Kind = name
	if !hasValue {
		return f.check()
	}
	k, _ := f.kind()
	option := k.value
	if n, found := strings.CutPrefix(value, "1/"); found && option == "probability" {
		option, value = "every", n
	}
	if option == "" {
		return fmt.Errorf("fault %q takes no value; options are written as --retry-after %s", name, value)
	}
	if err := f.Flags().Set(option, value); err != nil {
		return fmt.Errorf("fault %s: %q is not understood; it stands for --%s", name, value, k.value)
	}
	return f.check()
}

// fill sets what the kind takes for granted.
func (f *Fault) fill() {
	k, _ := f.kind()
	if option := f.Flags().Lookup(k.value); option != nil && k.standard != "" && f.Every == 0 && slices.Contains([]string{"", "0"}, option.Value.String()) {
		_ = option.Value.Set(k.standard) // of the declaration
	}
}

// ParseFault reads a fault and its options, each a word.
func ParseFault(words []string) (Fault, error) {
	var f Fault
	flags := f.Flags()
	if err := flags.Parse(words); err != nil {
		return f, err
	}
	if flags.NArg() != 1 {
		return f, fmt.Errorf("one fault is needed, not %d", flags.NArg())
	}
	return f, f.SetKind(flags.Arg(0))
}

// kind finds what a fault does.
func (f Fault) kind() (FaultKind, bool) {
	if f.status() > 0 {
		return FaultKind{name: f.Kind, api: func(s *strike) { s.fault.refuse(s.w, s.fault.status()) }}, true
	}
	kinds := FaultKinds()
	if i := slices.IndexFunc(kinds, func(k FaultKind) bool { return k.name == f.Kind }); i >= 0 {
		return kinds[i], true
	}
	return FaultKind{}, false
}

// status is the HTTP status of a numeric kind, 0 for the others.
func (f Fault) status() int {
	n, err := strconv.Atoi(f.Kind)
	if err != nil || n < 400 || n > 599 {
		return 0
	}
	return n
}

// check reports what is wrong with a fault, in words for a person.
func (f Fault) check() error {
	k, found := f.kind()
	if f.Kind == faultOff {
		if f != (Fault{Kind: faultOff}) {
			return fmt.Errorf("%q ends all faults and takes no options", faultOff)
		}
		return nil
	}
	if !found {
		var names []string
		for _, k := range FaultKinds() {
			names = append(names, k.name)
		}
		return fmt.Errorf("unknown fault %q: a status from 400 to 599, %s, or one of %s", f.Kind, faultOff, strings.Join(names, ", "))
	}
	if f.Endpoint != "" && !slices.Contains(endpoints(), f.Endpoint) {
		return fmt.Errorf("unknown endpoint %q: one of %s", f.Endpoint, strings.Join(endpoints(), ", "))
	}
	if k.ofGateway() && (f.Endpoint != "" || f.Method != "") {
		return fmt.Errorf("fault %s is one of the VM gateway: it has no endpoint or method", f.Kind)
	}
	if f.Stage != "" && !slices.Contains(stages(), f.Stage) {
		return fmt.Errorf("unknown stage %q: one of %s", f.Stage, strings.Join(stages(), ", "))
	}
	if f.Probability < 0 || f.Probability > 1 {
		return fmt.Errorf("probability %g: must be between 0 and 1", f.Probability)
	}
	if f.Count < 0 || f.Every < 0 || f.Rate < 0 || f.Bytes < 0 || f.Latency < 0 {
		return fmt.Errorf("fault %s: a negative number makes no sense", f.Kind)
	}
	if k.adds() && f.Latency == 0 {
		return fmt.Errorf("fault %s needs a duration, such as %s=200ms", f.Kind, f.Kind)
	}
	return nil
}
