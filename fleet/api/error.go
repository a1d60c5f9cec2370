package api

import (
	"fmt"
	"log/slog"
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

// Timeout reports whether the call ran out of time.
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }
