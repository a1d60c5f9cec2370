package api

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// lookup tells a machine without network from a name that cannot be found.
func (a *attempt) lookup(err *net.DNSError) finding {
	switch {
	case !a.c.hooks.hasNetwork():
		return finding{kind: KindNoNetwork}
	case err.IsNotFound:
		return finding{KindDNS, "no host has this name", "check the host in the API URL and the name servers of this machine"}
	case err.IsTimeout:
		return finding{KindDNS, "the name server does not answer", "check the name servers of this machine"}
	}
	return finding{KindDNS, "the name server could not answer", "check the name servers of this machine"}
}

// connect judges by all addresses tried: one that refused shows that packets
// get through, whatever became of the others.
func (a *attempt) connect(tried []error, err error) finding {
	met := func(errs ...error) bool {
		return slices.ContainsFunc(tried, func(e error) bool {
			return slices.ContainsFunc(errs, func(want error) bool { return errors.Is(e, want) })
		})
	}
	switch {
	case met(syscall.ECONNREFUSED):
		return finding{kind: KindRefused, detail: "connection refused"}
	case slices.ContainsFunc(tried, isTimeout):
		return a.late(StageConnect)
	case met(syscall.ECONNRESET, syscall.ECONNABORTED):
		return finding{kind: KindReset}
	case !a.c.hooks.hasNetwork():
		return finding{kind: KindNoNetwork}
	case met(syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL):
		return finding{kind: KindNoNetwork, detail: "it has no route to the API"}
	case met(syscall.EPERM, syscall.EACCES):
		return finding{kind: KindNoNetwork, detail: "it forbids this connection; a firewall?"}
	case met(syscall.EHOSTUNREACH, syscall.EHOSTDOWN):
		return finding{kind: KindRefused, detail: "no route to the host"}
	}
	return finding{kind: KindRefused, detail: a.clean(err.Error())}
}
