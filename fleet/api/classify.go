package api

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
)

// errDeadline is the cause of a context that one of Timeouts ended.
var errDeadline = errors.New("deadline of the call")

// finding is what is known about a broken call.
type finding struct {
	kind         Kind
	detail, hint string
}

// broken returns the Error of a call that ended without a whole answer. ctx is
// the caller's, callCtx the one with this package's deadlines.
func (a *attempt) broken(ctx, callCtx context.Context, err error) error {
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
func (a *attempt) diagnose(ctx, callCtx context.Context, err error) finding {
	stage, _, firstByte, tried := a.trace.seen()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return finding{kind: KindCanceled}
	case callCtx.Err() != nil:
		return a.late(stage)
	}
	op, _ := errors.AsType[*net.OpError](err)
	if f, ok := a.proxied(op, err); ok {
		return f
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return a.lookup(dns)
	}
	if f, ok := a.handshake(err); ok {
		return f
	}
	if stage == StageBody {
		return finding{kind: KindTruncated}
	}
	if op != nil && op.Op == "dial" || stage == StageStart || stage == StageLookup || stage == StageConnect {
		if len(tried) == 0 {
			tried = []error{err}
		}
		return a.connect(tried, err)
	}
	switch {
	case isTimeout(err):
		return a.late(stage)
	case cutOff(err) && firstByte:
		return finding{kind: KindTruncated}
	case cutOff(err) || !firstByte && stage != StageTLS:
		return finding{kind: KindReset}
	case stage == StageTLS:
		return finding{kind: KindTLS, detail: a.clean(err.Error())}
	}
	// The transport does not tell headers that broke off from headers that are
	// none.
	return finding{kind: KindNotVers, detail: "what came back is not HTTP, or broke off"}
}

// proxied recognises what goes wrong between this machine and its proxy.
func (a *attempt) proxied(op *net.OpError, err error) (finding, bool) {
	const hint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
	answer, answered := errors.AsType[*proxyAnswer](err)
	switch {
	case answered && unavailable(answer.status): // it works, but gets no further
		return finding{KindRefused, answer.Error(), ""}, true
	case answered:
		return finding{KindProxy, answer.Error(), hint}, true
	case op == nil || op.Op != "proxyconnect":
		return finding{}, false
	case !a.c.hooks.hasNetwork():
		return finding{kind: KindNoNetwork}, true
	}
	return finding{KindProxy, a.clean(op.Err.Error()), hint}, true
}

// late names the stage that took too long.
func (a *attempt) late(stage Stage) finding {
	switch stage {
	case StageStart:
		return finding{kind: KindTimeout, detail: "no time was left to begin"}
	case StageLookup:
		return a.lookup(&net.DNSError{IsTimeout: true})
	case StageConnect:
		return finding{kind: KindTimeout, detail: "connecting"}
	case StageTLS:
		return finding{kind: KindTimeout, detail: "in the TLS handshake"}
	case StageBody:
		return finding{kind: KindTimeout, detail: "the answer began, but came too slowly"}
	}
	return finding{kind: KindTimeout, detail: "connected, but no answer came"}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// cutOff reports whether the other side, or something between, ended the
// connection.
func cutOff(err error) bool {
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
