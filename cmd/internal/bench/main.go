package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line of the benchmark.
type options struct {
	suites, data []string
	rtts         []time.Duration
	only         string
	runs, logins int
	vms          int
	limit        time.Duration
	quick        bool
	binary       string
	cipher       string
	bashrc       time.Duration
	rate         int64
	verbose      bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && (args[0] == walkCommand || args[0] == loginCommand) {
		return inner(ctx, args)
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	r, err := newRig(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer r.close()
	fmt.Fprintln(stdout, preamble(o, r))
	for _, suite := range o.suites {
		if err := suites()[suite](ctx, r, stdout); err != nil {
			return fmt.Errorf("suite %s: %w", suite, err)
		}
	}
	fmt.Fprintln(stdout, r.summary())
	return ctx.Err()
}

// suites are the things that can be measured, by name.
func suites() map[string]func(context.Context, *rig, io.Writer) error {
	return map[string]func(context.Context, *rig, io.Writer) error{
		"pull": pullSuite, "push": pushSuite, "again": againSuite, "fleet": fleetSuite, "login": loginSuite, "local": localSuite,
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var suiteList, dataList, rttList string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&suiteList, "suite", "pull,push,again,fleet,login,local", "what to measure")
	f.StringVar(&dataList, "data", "A,B,C", "data sets: A one large file, B 10,000 small ones, C a mixture")
	f.StringVar(&rttList, "rtt", "0,40ms,80ms", "round-trip times")
	f.StringVar(&o.only, "only", "", "measure only contestants whose name contains one of these words (a,b)")
	f.IntVar(&o.runs, "runs", 3, "rounds per measurement; the median counts")
	f.IntVar(&o.logins, "logins", 10, "rounds of the login and local suites")
	f.DurationVar(&o.limit, "limit", 5*time.Minute, "give a single run up after this time")
	f.IntVar(&o.vms, "vms", 0, "also lists of so many recorded VMs in the local suite, such as 100000")
	f.BoolVar(&o.quick, "quick", false, "one round on small data, to see that everything works")
	f.StringVar(&o.binary, "binary", "", "the vers-fleet to measure (default: built from this module)")
	f.StringVar(&o.cipher, "cipher", "aes128-gcm@openssh.com", "cipher of the OpenSSH tools, empty for their default")
	f.DurationVar(&o.bashrc, "bashrc", 0, "what the login shell's .bashrc costs each session, as on VMs that people use")
	f.Int64Var(&o.rate, "rate", 0, "speed of the link in bytes per second, for distances above 0; 0 is unlimited")
	f.BoolVar(&o.verbose, "verbose", false, "show every run on stderr")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	o.suites, o.data = split(suiteList), split(dataList)
	if o.quick {
		o.runs, o.logins = 1, 3
	}
	return o, o.check(split(rttList))
}

// check refuses what there is not, and takes the round-trip times.
func (o *options) check(rtts []string) error {
	for _, name := range o.suites {
		if suites()[name] == nil {
			return fmt.Errorf("no suite %q; there are pull, push, again, fleet, login and local", name)
		}
	}
	for _, name := range o.data {
		if !slices.Contains([]string{"A", "B", "C"}, name) {
			return fmt.Errorf("no data set %q; there are A, B and C", name)
		}
	}
	for _, text := range rtts {
		rtt, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		o.rtts = append(o.rtts, rtt)
	}
	if o.runs < 1 || o.logins < 1 {
		return errors.New("-runs and -logins must be at least 1")
	}
	return nil
}

func split(list string) []string {
	var words []string
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// wanted tells whether a contestant passes the -only filter.
func (o options) wanted(name string) bool {
	words := split(o.only)
	return len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}
