package fleet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Check is one thing on this machine, or on the way, that reaching the API or
// the VMs depends on. The JSON names are stable.
type Check struct {
	Name   string `json:"name"`  // version, keystore, clock, proxy, api_dns, api_tls, vm_dns or vm_tls
	State  string `json:"state"` // ok, warning, failed or skipped
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"` // what would mend it
}

// The states of a Check.
const (
	CheckOK      = "ok"
	CheckWarning = "warning"
	CheckFailed  = "failed"
	CheckSkipped = "skipped"
)

// checkTimeout bounds each check.
const checkTimeout = 5 * time.Second

// tolerableSkew is how wrong the clock may be before it is worth a word.
const tolerableSkew = time.Minute

// Checks looks at what reaching the API and the VMs depends on, side by side.
// It sends no request to the API, but without --offline it opens a TLS
// connection to its host. getenv reads the environment.
func (f *Fleet) Checks(ctx context.Context, getenv func(string) string) []Check {
	run := []func(context.Context) Check{f.checkKeystore, f.checkClock,
		func(context.Context) Check { return f.checkProxy(getenv) },
		f.checkAPIName, f.checkAPITLS(getenv), f.checkVMName, f.checkVMTLS}
	out := make([]Check, len(run))
	problem.Each(len(run), len(run), func(n int) {
		ctx, stop := context.WithTimeout(ctx, checkTimeout)
		defer stop()
		out[n] = run[n](ctx)
	})
	return out
}

func (f *Fleet) checkKeystore(context.Context) Check {
	c := Check{Name: "keystore", State: CheckOK, Detail: f.Keys.Dir() + " is sound and closed to others"}
	findings, err := f.keys.Check()
	if err != nil {
		c.State, c.Detail = CheckFailed, err.Error()
		return c
	}
	bad := 0
	for _, x := range findings {
		if x.Severity == keystore.SeverityInfo || x.Kind == keystore.KindNotFound { // missing keys are told elsewhere
			continue
		}
		if bad++; bad == 1 {
			c.State, c.Detail, c.Next = CheckWarning, x.What, "vers-fleet keys check"
		}
		if x.Severity == keystore.SeverityError {
			c.State = CheckFailed
		}
	}
	if bad > 1 {
		c.Detail += fmt.Sprintf("; and %d more", bad-1)
	}
	return c
}

// checkClock compares this machine's clock with that of the API's last answer.
func (f *Fleet) checkClock(context.Context) Check {
	c := Check{Name: "clock", State: CheckSkipped, Detail: "the API has not answered this command"}
	client, err := f.API.Client()
	if err != nil {
		return c
	}
	skew, known := client.ClockSkew()
	switch {
	case !known:
	case skew.Abs() > tolerableSkew:
		c.State, c.Detail, c.Next = CheckWarning, fmt.Sprintf("this machine's clock is %s off the API's", skew.Abs().Round(time.Second)),
			"set the clock: certificates and expiry times depend on it"
	default:
		c.State, c.Detail = CheckOK, "agrees with the API's to a minute"
	}
	return c
}

// checkProxy names the proxy variables that are set; a proxy is for the API
// only. Their values may hold passwords, so they are not shown.
func (f *Fleet) checkProxy(getenv func(string) string) Check {
	var set []string
	for _, name := range proxyVariables() {
		if getenv(name) != "" {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return Check{Name: "proxy", State: CheckOK, Detail: "no proxy variable is set"}
	}
	return Check{Name: "proxy", State: CheckOK, Detail: "used for the API: " + strings.Join(set, ", ") + "; VMs are dialled directly"}
}

func proxyVariables() []string {
	return []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"}
}

func (f *Fleet) checkAPIName(ctx context.Context) Check {
	u, err := url.Parse(f.API.BaseURL())
	if err != nil {
		return Check{Name: "api_dns", State: CheckFailed, Detail: "the API URL cannot be read", Next: "vers-fleet config view"}
	}
	return checkName(ctx, "api_dns", u.Hostname())
}

func (f *Fleet) checkAPITLS(getenv func(string) string) func(context.Context) Check {
	return func(ctx context.Context) Check {
		c := Check{Name: "api_tls", State: CheckSkipped}
		u, err := url.Parse(f.API.BaseURL())
		switch {
		case err != nil:
			c.Detail = "the API URL cannot be read"
			return c
		case u.Scheme != "https":
			c.Detail = "the API URL is not https"
			return c
		case f.API.Forbidden(outage.AsAsked):
			c.Detail = "--offline"
			return c
		case getenv("HTTPS_PROXY") != "" || getenv("https_proxy") != "":
			c.Detail = "a proxy is between"
			return c
		}
		port := u.Port()
		if port == "" {
			port = "443"
		}
		d := tls.Dialer{Config: &tls.Config{ServerName: u.Hostname(), RootCAs: f.o.API.RootCAs}}
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
		if err != nil {
			c.State, c.Detail = CheckFailed, err.Error()
			return c
		}
		_ = conn.Close()
		c.State, c.Detail = CheckOK, u.Hostname()+" shows a certificate that is trusted here"
		return c
	}
}

// sampleVM is the VM that stands for the way to all of them.
func (f *Fleet) sampleVM() (inventory.VM, bool) {
	vms, err := f.Inventory.Known()
	if err != nil {
		return inventory.VM{}, false
	}
	for _, vm := range vms {
		if vm.GoneAt.IsZero() && vm.State == "running" {
			return vm, true
		}
	}
	return inventory.VM{}, false
}

func (f *Fleet) checkVMName(ctx context.Context) Check {
	vm, ok := f.sampleVM()
	if !ok {
		return Check{Name: "vm_dns", State: CheckSkipped, Detail: "no running VM is recorded"}
	}
	host, _, err := net.SplitHostPort(f.front.Address(vm.ID))
	if err != nil {
		return Check{Name: "vm_dns", State: CheckFailed, Detail: "the VM's address cannot be read: " + err.Error(), Next: "vers-fleet config view"}
	}
	c := checkName(ctx, "vm_dns", host)
	if c.State == CheckFailed {
		c.Next = "addresses that worked before are recorded and tried all the same: vers-fleet drill"
	}
	return c
}

// checkVMTLS goes the way to one VM up to its host key, without logging in.
func (f *Fleet) checkVMTLS(ctx context.Context) Check {
	vm, ok := f.sampleVM()
	if !ok {
		return Check{Name: "vm_tls", State: CheckSkipped, Detail: "no running VM is recorded"}
	}
	if err := f.Access.Reach(ctx, vm); err != nil {
		return Check{Name: "vm_tls", State: CheckFailed, Detail: vm.Title() + ": " + problem.Why(err), Next: "try every VM: vers-fleet drill"}
	}
	detail := vm.Title() + " answers through TLS"
	if !f.o.TLSVerify {
		return Check{Name: "vm_tls", State: CheckWarning, Detail: detail + ", but certificates are not verified", Next: "vers-fleet config set tls_verify true"}
	}
	return Check{Name: "vm_tls", State: CheckOK, Detail: detail}
}

// checkName looks a host up.
func checkName(ctx context.Context, check, host string) Check {
	if net.ParseIP(host) != nil {
		return Check{Name: check, State: CheckSkipped, Detail: host + " needs no lookup"}
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return Check{Name: check, State: CheckFailed, Detail: err.Error(), Next: "look at the name servers of this machine"}
	}
	return Check{Name: check, State: CheckOK, Detail: host + " is " + strings.Join(addrs[:min(2, len(addrs))], ", ")}
}
