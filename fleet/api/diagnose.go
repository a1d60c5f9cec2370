package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"
)

// errDeadline is the cause of a context that one of Timeouts ended.
var errDeadline = errors.New("deadline of the call")

// diagnosis is what is known about a broken call.
type diagnosis struct {
	kind         Kind
	detail, hint string
}

// transportError returns the Error of a call that ended without a whole answer. ctx is
// the caller's, callCtx the one with this package's deadlines.
func (a *attempt) transportError(ctx, callCtx context.Context, err error) error {
	stage, _, _, _ := a.trace.seen()
	f := a.diagnose(ctx, callCtx, err)
	e := a.fail(f.kind, f.detail)
	if f.hint != "" {
		e.Hint = f.hint
	}
	e.Stage = stage
	e.Err = a.cause(err)
	if ctx.Err() != nil {
		e.Err = ctx.Err()
	}
	e.Retry.Transient = e.Retry.Transient || f.kind == KindNotVers
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		e.Retry.Transient = false
	}
	return e
}

// diagnose tells the causes apart, by types and by how far the call came.
func (a *attempt) diagnose(ctx, callCtx context.Context, err error) diagnosis {
	stage, _, firstByte, tried := a.trace.seen()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return diagnosis{kind: KindCanceled}
	case callCtx.Err() != nil:
		return a.timedOut(stage)
	}
	op, _ := errors.AsType[*net.OpError](err)
	if f, ok := a.proxyFault(op, err); ok {
		return f
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return a.dnsFault(dns)
	}
	if f, ok := a.tlsFault(err); ok {
		return f
	}
	if stage == StageBody {
		return diagnosis{kind: KindTruncated}
	}
	if op != nil && op.Op == "dial" || stage == StageStart || stage == StageLookup || stage == StageConnect {
		if len(tried) == 0 {
			tried = []error{err}
		}
		return a.connectFault(tried, err)
	}
	switch {
	case isTimeout(err):
		return a.timedOut(stage)
	case isDisconnect(err) && firstByte:
		return diagnosis{kind: KindTruncated}
	case isDisconnect(err) || !firstByte && stage != StageTLS:
		return diagnosis{kind: KindReset}
	case stage == StageTLS:
		return diagnosis{kind: KindTLS, detail: a.clean(err.Error())}
	}
	// The transport does not tell headers that broke off from headers that are
	// none.
	return diagnosis{kind: KindNotVers, detail: "what came back is not HTTP, or broke off"}
}

// proxyFault recognises what goes wrong between this machine and its proxy.
func (a *attempt) proxyFault(op *net.OpError, err error) (diagnosis, bool) {
	const hint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
	answer, answered := errors.AsType[*proxyAnswer](err)
	switch {
	case answered && unavailable(answer.status): // it works, but gets no further
		return diagnosis{KindRefused, answer.Error(), ""}, true
	case answered:
		return diagnosis{KindProxy, answer.Error(), hint}, true
	case op == nil || op.Op != "proxyconnect":
		return diagnosis{}, false
	case !a.c.hooks.hasNetwork():
		return diagnosis{kind: KindNoNetwork}, true
	}
	return diagnosis{KindProxy, a.clean(op.Err.Error()), hint}, true
}

// timedOut names the stage that took too long.
func (a *attempt) timedOut(stage Stage) diagnosis {
	switch stage {
	case StageStart:
		return diagnosis{kind: KindTimeout, detail: "no time was left to begin"}
	case StageLookup:
		return a.dnsFault(&net.DNSError{IsTimeout: true})
	case StageConnect:
		return diagnosis{kind: KindTimeout, detail: "connecting"}
	case StageTLS:
		return diagnosis{kind: KindTimeout, detail: "in the TLS handshake"}
	case StageBody:
		return diagnosis{kind: KindTimeout, detail: "the answer began, but came too slowly"}
	}
	return diagnosis{kind: KindTimeout, detail: "connected, but no answer came"}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// isDisconnect reports whether the other side, or something between, ended the
// connection.
func isDisconnect(err error) bool {
	return slices.ContainsFunc([]error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	}, func(want error) bool { return errors.Is(err, want) })
}

// plainCause returns the well-known error below err that callers ask for with
// errors.Is and whose own text is this program's or Go's.
func plainCause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// dnsFault tells a machine without network from a name that cannot be found.
func (a *attempt) dnsFault(err *net.DNSError) diagnosis {
	switch {
	case !a.c.hooks.hasNetwork():
		return diagnosis{kind: KindNoNetwork}
	case err.IsNotFound:
		return diagnosis{KindDNS, "no host has this name", "check the host in the API URL and the name servers of this machine"}
	case err.IsTimeout:
		return diagnosis{KindDNS, "the name server does not answer", "check the name servers of this machine"}
	}
	return diagnosis{KindDNS, "the name server could not answer", "check the name servers of this machine"}
}

// connectFault judges by all addresses tried: one that refused shows that packets
// get through, whatever became of the others.
func (a *attempt) connectFault(tried []error, err error) diagnosis {
	met := func(errs ...error) bool {
		return slices.ContainsFunc(tried, func(e error) bool {
			return slices.ContainsFunc(errs, func(want error) bool { return errors.Is(e, want) })
		})
	}
	switch {
	case met(syscall.ECONNREFUSED):
		return diagnosis{kind: KindRefused, detail: "connection refused"}
	case slices.ContainsFunc(tried, isTimeout):
		return a.timedOut(StageConnect)
	case met(syscall.ECONNRESET, syscall.ECONNABORTED):
		return diagnosis{kind: KindReset}
	case !a.c.hooks.hasNetwork():
		return diagnosis{kind: KindNoNetwork}
	case met(syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL):
		return diagnosis{kind: KindNoNetwork, detail: "it has no route to the API"}
	case met(syscall.EPERM, syscall.EACCES):
		return diagnosis{kind: KindNoNetwork, detail: "it forbids this connection; a firewall?"}
	case met(syscall.EHOSTUNREACH, syscall.EHOSTDOWN):
		return diagnosis{kind: KindRefused, detail: "no route to the host"}
	}
	return diagnosis{kind: KindRefused, detail: a.clean(err.Error())}
}

// tlsFault recognises the errors of TLS. A machine whose clock is wrong sees
// certificates that are expired or not valid yet, so those name the clock.
func (a *attempt) tlsFault(err error) (diagnosis, bool) {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return diagnosis{KindTLS, "the server does not speak TLS", "the API URL may have to begin with http://"}, true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return diagnosis{KindTLS, "the server does not speak TLS", ""}, true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return diagnosis{KindTLS, "the server refused the handshake", ""}, true
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return a.invalidCertificate(bad), true
	}
	if bad, ok := errors.AsType[x509.HostnameError](err); ok {
		names := bad.Certificate.DNSNames
		detail := "the certificate is for another host"
		if len(names) > 0 {
			detail += ": " + strings.Join(names[:min(len(names), 3)], ", ")
		}
		return diagnosis{KindTLS, a.clean(detail), "a captive portal or a proxy may be answering in place of the API"}, true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return diagnosis{KindTLS, "the certificate is signed by an authority this machine does not know",
			"a proxy or captive portal may be in between; SSL_CERT_FILE can name a file of authorities"}, true
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return diagnosis{KindTLS, "this machine has no list of certificate authorities", "install ca-certificates or set SSL_CERT_FILE"}, true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return diagnosis{KindTLS, "the certificate is not acceptable", ""}, true
	}
	return diagnosis{}, false
}

func (a *attempt) invalidCertificate(bad x509.CertificateInvalidError) diagnosis {
	if bad.Reason != x509.Expired || bad.Cert == nil {
		return diagnosis{KindTLS, "the certificate is not acceptable", ""}
	}
	now := a.c.cfg.Now()
	detail := "the certificate expired on " + day(bad.Cert.NotAfter)
	hint := "check this machine's clock; if it is right, the server's certificate is out of date"
	if now.Before(bad.Cert.NotBefore) {
		detail = "the certificate is valid only from " + day(bad.Cert.NotBefore)
		hint = "set this machine's clock"
	}
	return diagnosis{KindTLS, detail + ", and this machine's clock says " + day(now), hint}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// hasNetwork reports whether any interface but loopback is up, running and has
// an address beyond its own link. When in doubt it says yes.
func hasNetwork() bool {
	ifaces, err := net.Interfaces()
	if err != nil {
		return true
	}
	const up = net.FlagUp | net.FlagRunning
	for _, i := range ifaces {
		if i.Flags&up != up || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return true
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				return true
			}
		}
	}
	return false
}
