package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrClear is returned by ParseFault for "off": all faults are to end.
var ErrClear = errors.New("clear all faults")

// ParseFault reads a fault as a person writes it on a command line:
//
//	503 --retry-after 20 --endpoint ssh_key --count 3
//	hang | reset-after | flaky | flaky=0.3 | flaky=1/3 | latency=200ms
//	slow=100 | gateway-down --vm marketing | gateway-reset=1000000 | off
//
// Options are --retry-after, --retry-after-ms, --date, --latency, --rate,
// --bytes, --endpoint, --method, --vm, --count, --every and --probability,
// each with its value as next argument or after "=". "off" gives ErrClear.
func ParseFault(args []string) (Fault, error) {
	if len(args) == 0 {
		return Fault{}, fmt.Errorf("which fault? A status such as 503, off, or one of %s", joinKinds())
	}
	name, value, hasValue := strings.Cut(args[0], "=")
	if name == "off" || name == "none" || name == "clear" {
		if len(args) > 1 || hasValue {
			return Fault{}, fmt.Errorf("%q ends all faults and takes no options", name)
		}
		return Fault{}, ErrClear
	}
	f := Fault{Kind: Kind(name)}
	if hasValue {
		if err := f.setValue(value); err != nil {
			return Fault{}, err
		}
	}
	if f.Kind == KindFlaky && !hasValue {
		f.Probability = 0.5
	}
	if err := f.setOptions(args[1:]); err != nil {
		return Fault{}, err
	}
	return f, f.Check()
}

// setValue reads what follows the "=" of a kind.
func (f *Fault) setValue(value string) error {
	var err error
	switch f.Kind {
	case KindFlaky:
		if n, found := strings.CutPrefix(value, "1/"); found {
			err = parseInt(n, &f.Every)
		} else {
			f.Probability, err = strconv.ParseFloat(value, 64)
		}
	case KindLatency, KindGatewayLatency:
		f.Latency, err = time.ParseDuration(value)
	case KindSlow, KindSlowHeaders:
		err = parseInt(value, &f.Rate)
	case KindGatewayReset:
		f.Bytes, err = strconv.ParseInt(value, 10, 64)
	default:
		return fmt.Errorf("fault %q takes no value; options are written as --retry-after %s", f.Kind, value)
	}
	if err != nil {
		return fmt.Errorf("fault %s: %q is not understood; write flaky=0.3, flaky=1/3, latency=200ms, slow=100 or gateway-reset=65536", f.Kind, value)
	}
	return nil
}

func (f *Fault) setOptions(args []string) error {
	for len(args) > 0 {
		name, value, hasValue := strings.Cut(args[0], "=")
		args = args[1:]
		option, found := strings.CutPrefix(name, "--")
		if !found {
			return fmt.Errorf("%q is not understood; options begin with --", name)
		}
		if !hasValue {
			if len(args) == 0 {
				return fmt.Errorf("--%s needs a value", option)
			}
			value, args = args[0], args[1:]
		}
		if err := f.setOption(option, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fault) setOption(option, value string) error {
	var err error
	switch option {
	case "retry-after":
		f.RetryAfter = value
	case "retry-after-ms":
		f.RetryAfterMs = value
	case "date":
		f.Date = value
	case "endpoint":
		f.Endpoint = value
	case "method":
		f.Method = strings.ToUpper(value)
	case "vm":
		f.VM = value
	case "latency":
		f.Latency, err = time.ParseDuration(value)
	case "rate":
		err = parseInt(value, &f.Rate)
	case "bytes":
		f.Bytes, err = strconv.ParseInt(value, 10, 64)
	case "count":
		err = parseInt(value, &f.Count)
	case "every":
		err = parseInt(value, &f.Every)
	case "probability":
		f.Probability, err = strconv.ParseFloat(value, 64)
	default:
		return fmt.Errorf("unknown option --%s: --retry-after, --retry-after-ms, --date, --latency, --rate, --bytes, "+
			"--endpoint, --method, --vm, --count, --every, --probability", option)
	}
	if err != nil {
		return fmt.Errorf("--%s: %q is not understood", option, value)
	}
	return nil
}

func parseInt(value string, into *int) error {
	n, err := strconv.Atoi(value)
	if err == nil && n <= 0 {
		err = fmt.Errorf("%d is not positive", n)
	}
	*into = n
	return err
}
