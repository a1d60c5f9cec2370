package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/vers-fleet/vers-fleet/retry"
)

// Stage is how far a call came.
type Stage string

// The stages of a call, in their order.
const (
	StageStart   Stage = "start"
	StageLookup  Stage = "lookup"
	StageConnect Stage = "connect"
	StageTLS     Stage = "tls"
	StageSend    Stage = "send"
	StageHeaders Stage = "headers"
	StageBody    Stage = "body"
)

// Error is the one error type of this package. No field ever holds an API key
// or a private key, and all text is printable and on one line.
type Error struct {
	Op      string     // what was tried, for people: "list VMs"
	Method  string     // HTTP method
	Host    string     // host, with the port if the URL has one
	Path    string     // path on that host
	Kind    Kind       //
	Stage   Stage      // how far the call came
	Status  int        // HTTP status; 0 without an answer
	Detail  string     // this program's closer words about the cause; may be empty
	Message string     // the server's words, cleaned, at most 200 runes; may be empty
	Hint    string     // what to do about it; may be empty
	Retry   retry.Hint // what is known about trying again
	Sent    bool       // the request may have reached the server
	Err     error      `json:"-"` // the cause, for errors.Is and errors.As; may be nil
}

// Error says what was tried where, what happened, and the server's words.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.Op)
	if e.Host != "" {
		fmt.Fprintf(&b, "%s%s: ", e.Host, e.Path)
	}
	b.WriteString(e.Reason())
	return b.String()
}

// Reason is Error without what was tried and where.
func (e *Error) Reason() string {
	text := e.Kind.info().text
	if e.Kind == KindUnavailable {
		text = fmt.Sprintf("%s %d", text, e.Status)
	}
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// LogValue implements [slog.LogValuer].
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind.String()), slog.String("error", e.Error()))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// RetryHint implements [retry.Hinter].
func (e *Error) RetryHint() retry.Hint { return e.Retry }

// Kind says what went wrong with a call, as far as a caller must know to act.
type Kind int

// The kinds of failure.
const (
	KindUnavailable Kind = iota + 1 // the API answered 408, 425, 429 or 5xx
	KindTimeout                     // no answer in time; Error.Stage says how far it came
	KindRefused                     // no connection: refused, or the host cannot be reached
	KindReset                       // the connection broke before an answer
	KindTruncated                   // the answer broke off
	KindNotVers                     // something answered, but not the Vers API
	KindNoNetwork                   // this machine has no network
	KindDNS                         // the host name cannot be looked up
	KindTLS                         // no trusted TLS connection
	KindRecorded                    // a gateway answered from its record, in the API's place
	KindProxy                       // the proxy of the environment does not let the call through
	KindAuth                        // the API key was refused (401, 403)
	KindNoKey                       // there is no API key to send, or none that can be sent
	KindNotFound                    // no such VM or commit
	KindConflict                    // 409
	KindInvalid                     // the request was refused as wrong (400, 422), or is, before sending
	KindTooLarge                    // the answer is larger than any real one
	KindMismatch                    // the answer is about another VM or commit than asked for
	KindCanceled                    // the caller gave up
)

// kindInfo is one row of the table that says all there is to say about a kind.
type kindInfo struct {
	name        string // stable, for machines
	text        string // for people; after "host/path: "
	unreachable bool   // no answer of the API at all
	local       bool   // the cause is (most likely) on this machine or its network
	transient   bool   // may go away by itself within the time a retry takes
}

func (k Kind) info() kindInfo {
	switch k {
	case KindUnavailable:
		return kindInfo{"unavailable", "the API answers", true, false, true}
	case KindTimeout:
		return kindInfo{"timeout", "no answer in time", true, false, true}
	case KindRefused:
		return kindInfo{"refused", "cannot connect", true, false, true}
	case KindReset:
		return kindInfo{"reset", "the connection broke before an answer came", true, false, true}
	case KindTruncated:
		return kindInfo{"truncated", "the answer broke off", true, false, true}
	case KindNotVers:
		return kindInfo{"not_vers", "this is not an answer of the Vers API", true, false, false}
	case KindNoNetwork:
		return kindInfo{"no_network", "this machine has no network", true, true, true}
	case KindDNS:
		return kindInfo{"dns", "DNS fails", true, true, true}
	case KindTLS:
		return kindInfo{"tls", "TLS fails", true, true, false}
	case KindRecorded:
		return kindInfo{"recorded", "a gateway answers from what it recorded, as the API is away", true, false, true}
	case KindProxy:
		return kindInfo{"proxy", "the proxy does not let the call through", true, true, true}
	default:
		return k.answerInfo()
	}
}

// answerInfo is the other half of the table: kinds that are no sign of an
// unreachable API.
func (k Kind) answerInfo() kindInfo {
	switch k {
	case KindAuth:
		return kindInfo{name: "auth", text: "the API key was refused"}
	case KindNoKey:
		return kindInfo{name: "no_key", text: "no usable API key"}
	case KindNotFound:
		return kindInfo{name: "not_found", text: "no such VM or commit"}
	case KindConflict:
		return kindInfo{name: "conflict", text: "the API reports a conflict"}
	case KindInvalid:
		return kindInfo{name: "invalid", text: "the request was refused"}
	case KindTooLarge:
		return kindInfo{name: "too_large", text: "the answer is larger than any of the Vers API", unreachable: true}
	case KindMismatch:
		return kindInfo{name: "mismatch", text: "the answer is about something else than was asked for"}
	case KindCanceled:
		return kindInfo{name: "canceled", text: "interrupted"}
	default:
		return kindInfo{name: "unknown", text: "the call failed"}
	}
}

// String returns the kind's stable snake_case name.
func (k Kind) String() string { return k.info().name }

// Unreachable reports whether the API gave no answer: none at all, 408, 425,
// 429 or 5xx, or one that is not of the API. Only then may what was recorded
// serve instead.
func (k Kind) Unreachable() bool { return k.info().unreachable }

// Local reports whether the cause lies with this machine or its network, so
// that it says nothing about the health of the API.
func (k Kind) Local() bool { return k.info().local }

// fail returns the Error of this attempt as it stands.
func (a *attempt) fail(kind Kind, detail string) *Error {
	stage, sent, _, _ := a.trace.seen()
	e := &Error{
		Op: a.req.op, Method: a.req.method, Host: a.url.Host, Path: a.url.Path,
		Kind: kind, Stage: stage, Status: a.status, Detail: detail, Sent: sent,
		Retry: retry.Hint{Transient: kind.info().transient, Unsent: !sent},
	}
	if kind == KindNotVers {
		e.Hint = a.wrongURLHint()
	}
	return e
}

// refuse is the Error of a request that is wrong before it is sent.
func (c *Client) refuse(r request, detail string) error {
	if r.method == "" {
		r.method = http.MethodGet
	}
	a := &attempt{c: c, req: r, url: c.base, trace: &trace{stage: StageStart}}
	e := a.fail(KindInvalid, detail)
	e.Path = ""
	return e
}

// cause makes err fit to travel inside an Error: what it says stays clean and
// free of secrets. Where that needs changes, the chain below is given up.
func (a *attempt) cause(err error) error {
	if err == nil {
		return nil
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	said := err.Error()
	if safe := a.clean(said); safe != said {
		if leaf := plainCause(err); leaf != nil {
			return leaf
		}
		return errors.New(safe)
	}
	return err
}

// unreadable turns what a decoder says into an Error.
func (a *attempt) unreadable(err error) error {
	s, ok := errors.AsType[*decodeError](err)
	if !ok {
		s = &decodeError{kind: KindNotVers}
	}
	return a.fail(s.kind, a.clean(s.detail))
}
